// The types of build.mjs.
export const KERNELS: readonly string[]
export function kernelModule(name: string): Promise<string>
export function kernelText(name: string): Promise<string>
