// The types of build.mjs.
export function kernelModule(): Promise<string>
