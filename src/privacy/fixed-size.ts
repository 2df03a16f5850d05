// Renyi divergence of the Gaussian on a cohort of fixed size, drawn without replacement, under substitution. Wang, Balle
// and Kasiviswanathan, "Subsampled Renyi Differential Privacy and Analytical Moments Accountant" (AISTATS 2019): Theorem 9
// bounds the moment of an integer order term by term, Theorem 27 tightens each term from j = 3 on by the Pearson-Vajda
// moments B(l) = E_Q[(P/Q - 1)^l] (the forward differences of the moments at 0), 4 sqrt(B(2 floor(j/2)) B(2 ceil(j/2))),
// which for the Gaussian are known. The smaller of both is taken, term by term. Between integers the log-moment is convex
// in the order (Corollary 10), so the straight line bounds it.
//
// B(l) is integrated (even l: nothing cancels), by the rule that sampled-gaussian.ts explains; here the integrand is entire.
import { log1pExp, logExpm1, logSumExp } from './sampled-gaussian.ts'

/** Orders above this are not computed. */
const LARGEST_ORDER = 20_000
/** Terms above this use Theorem 9 alone; they weigh nothing where the bound is useful. */
const LARGEST_TIGHTENED = 256
const MARGIN = 1 + 1e-12

/**
 * Divergence in nats as a function of the order > 1: one release on a secret cohort of `rate` x the clients, `sigma` times the L2
 * sensitivity under substitution. Infinity above order 20000.
 */
export function fixedSizeDivergence(rate: number, sigma: number): (order: number) => number {
  const vajda = new Map<number, number>()
  const moments = new Map<number, number>()
  const logVajda = (l: number): number => cached(vajda, l, () => logVajdaMoment(sigma, l))
  const logMoment = (order: number): number =>
    cached(moments, order, () => {
      const logs: number[] = []
      let logWeight = 0
      for (let j = 1; j <= order; j++) {
        logWeight += Math.log((order - j + 1) / j) + Math.log(rate)
        if (j === 1) continue
        const exponent = (j * (j - 1)) / (2 * sigma * sigma)
        const plain = Math.LN2 + exponent
        const tight =
          j === 2
            ? Math.log(4) + logExpm1(exponent)
            : j > LARGEST_TIGHTENED
              ? plain
              : Math.log(4) + 0.5 * (logVajda(2 * Math.floor(j / 2)) + logVajda(2 * Math.ceil(j / 2)))
        logs.push(logWeight + Math.min(plain, tight))
      }
      return log1pExp(logSumExp(logs)) * MARGIN
    })
  return (order) => {
    if (order > LARGEST_ORDER) return Number.POSITIVE_INFINITY
    const below = Math.floor(order)
    const share = order - below
    const low = logMoment(below)
    return (share === 0 ? low : (1 - share) * low + share * logMoment(below + 1)) / (order - 1)
  }
}

function cached(store: Map<number, number>, key: number, compute: () => number): number {
  const known = store.get(key)
  if (known !== undefined) return known
  const value = compute()
  store.set(key, value)
  return value
}

/** log E_{x ~ N(0, s^2)}[(e^((2x - 1) / 2s^2) - 1)^l] for even l. */
function logVajdaMoment(sigma: number, l: number): number {
  const step = 0.2 * sigma
  const from = -14 * sigma
  const points = Math.ceil((l + 28 * sigma) / step)
  const logs: number[] = []
  for (let i = 0; i <= points; i++) {
    const x = from + i * step
    const z = (2 * x - 1) / (2 * sigma * sigma)
    const size = z > 0 ? logExpm1(z) : Math.log(-Math.expm1(z))
    if (size > Number.NEGATIVE_INFINITY) logs.push(l * size - (x * x) / (2 * sigma * sigma))
  }
  return logSumExp(logs) + Math.log(step / sigma) - 0.5 * Math.log(2 * Math.PI)
}
