// Types of build.mjs, which is plain JavaScript because the build runs it before anything is compiled.
export function buildPage(folder: string): Promise<void>
