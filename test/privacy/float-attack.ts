// The attack on noise in floating point (Mironov, "On significance of the least significant bits for differential
// privacy", CCS 2012), in its simplest form: an output that one input can give and its neighbour cannot.

/** Whether `output` could have come from `input` + noise, for any noise at all that is a 64-bit float. */
export function possibleFrom(input: number, output: number): boolean {
  // If output - input is a float, that noise gives it. If not, floats near output - input are coarser than those near
  // output, so their sums with input are exact and skip it.
  return input + (output - input) === output
}

/** A standard normal float as everybody draws it: Box and Muller on 53-bit uniforms. */
export function floatNormal(word: () => number): number {
  const uniform = () => ((word() >>> 5) * 2 ** 26 + (word() >>> 6) + 0.5) / 2 ** 53
  return Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform())
}

/** P(an output of 0 + sigma Z is impossible from input 1), if sigma Z could take every float: 0.267 at sigma 2.31. */
export function impossibleShare(sigma: number, cdf: (x: number) => number): number {
  const between = (low: number, high: number) => cdf(high / sigma) - cdf(low / sigma)
  let share = 0
  // Outputs between 2^e and 2^(e+1) lie 2^(e-52) apart, noises near output - 1 further.
  for (let e = -40; e < 8; e++) {
    for (const sign of [-1, 1]) {
      const pieces = 64
      for (let i = 0; i < pieces; i++) {
        const low = 2 ** e * (1 + i / pieces)
        const high = 2 ** e * (1 + (i + 1) / pieces)
        const middle = sign * 0.5 * (low + high)
        const coarser = Math.floor(Math.log2(Math.abs(middle - 1))) - e
        const mass = sign > 0 ? between(low, high) : between(-high, -low)
        if (coarser > 0) share += mass * (1 - 2 ** -coarser)
      }
    }
  }
  return share
}
