// Types of fft.js, which has none: a radix-4 transform of complex numbers in one array (re, im, re, im, ...).
declare module 'fft.js' {
  export default class FFT {
    /** `size`: a power of two, at least 2. */
    constructor(size: number)
    readonly size: number
    /** From real numbers to the first half of their transform. */
    realTransform(out: Float64Array, data: Float64Array): void
    /** Fills the second half, the conjugate of the first. */
    completeSpectrum(spectrum: Float64Array): void
    /** Divides by the size. */
    inverseTransform(out: Float64Array, data: Float64Array): void
  }
}
