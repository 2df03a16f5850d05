// The noise of two parties on one sum. `full`: each adds all of it, so that either alone would do. `half`: each adds half of
// the variance; everybody else sees what one party's full noise would be, and each party, who knows its own draw, sees the
// other's half alone. So half is only for two parties that are both trusted not to look.
//
// Why half of each is as private as one draw of all, for whoever sees the sum of both alone: let s be the sigma of each (in
// integer steps), Z ~ N(0, 2 s^2) and U uniform in (-1/2, 1/2). Two rounded Gaussians R1, R2 of sigma s have
//   P(R1 + R2 = k) = sum_j P(R1 = j) P(R2 = k - j) = int int phi_{s sqrt2}(k + u + v) [ sum_j phi_{s/sqrt2}(j - m) ] du dv
// over u, v in (-1/2, 1/2), with m = (k - u + v) / 2, since a product of two Gaussian densities is a Gaussian in the sum times
// one in the difference. By Poisson summation the bracket lies within 1 +- e for any m, e = 2 sum_{n>=1} exp(-pi^2 n^2 s^2). So
// R1 + R2 has the law of round(Z + U) up to a factor within 1 +- e at every integer, and f + round(Z + U) is the rounding of
// (f + Z) + U: post-processing of the Gaussian mechanism with noise Z, to which the tight analysis applies in any dimension
// (Balle and Wang, ICML 2018). Over d coordinates and T releases epsilon grows by 2 d T e and delta by a factor of 1 + d T e:
// with s >= 3, e < 6e-39, which is lost in the last digit of every figure even for 10^15 coordinates. A test compares the two laws.

/** How much of the noise each of two parties adds: all of it, or half of the variance. */
export type NoiseOfEach = 'full' | 'half'

/** Smallest sigma of each party, in integer steps, with which the argument above is made. */
export const SMALLEST_HALF_SIGMA = 3

/** Noise multiplier of each party where `noiseMultiplier` is promised to those who see both noises. Rounded up. */
export function multiplierOfEach(noiseMultiplier: number, each: NoiseOfEach): number {
  return each === 'full' ? noiseMultiplier : noiseMultiplier * Math.SQRT1_2 * (1 + 2 ** -50)
}

/** Who sees a release: all but the two parties, or either of them, who knows its own half of the noise. */
export type Against = 'outsiders' | 'operators'

/** What a noise multiplier of halves against one is against the other; never more noise than there is. */
export function multiplierAgainst(noiseMultiplier: number, from: Against, to: Against): number {
  if (from === to) return noiseMultiplier
  return to === 'operators' ? noiseMultiplier * Math.SQRT1_2 : noiseMultiplier * Math.SQRT2 * (1 - 2 ** -49)
}

/** e of the argument above for a sigma of each party, in steps. */
export function closenessOfHalves(sigma: number): number {
  let e = 0
  for (let n = 1; n <= 16; n++) e += 2 * Math.exp(-((Math.PI * n * sigma) ** 2))
  return e
}
