// The metrics of an evaluation: what each is called, which way is better, and what to know before it is believed.

export interface Metric {
  readonly id: string
  readonly title: string
  readonly better: 'higher' | 'lower'
  readonly about: string
  /** Shown as a percentage. */
  readonly share?: boolean
}

export const MODEL_METRICS: readonly Metric[] = [
  {
    id: 'top-1',
    title: 'Next token, best guess',
    better: 'higher',
    share: true,
    about: 'how often the most likely next token is the true one; padding and begin tokens are not counted',
  },
  {
    id: 'top-3',
    title: 'Next token, best 3',
    better: 'higher',
    share: true,
    about: 'how often the true token is among the three most likely',
  },
  {
    id: 'top-5',
    title: 'Next token, best 5',
    better: 'higher',
    share: true,
    about: 'the same among five',
  },
  {
    id: 'top-10',
    title: 'Next token, best 10',
    better: 'higher',
    share: true,
    about: 'the same among ten',
  },
  {
    id: 'cross-entropy',
    title: 'Cross-entropy',
    better: 'lower',
    about: 'nats for each token; comparable only between models of one vocabulary',
  },
  {
    id: 'bits-per-byte',
    title: 'Bits per byte',
    better: 'lower',
    about: 'cross-entropy in bits by bytes of text: comparable between vocabularies',
  },
]

export const COLUMN_METRICS: readonly Metric[] = [
  {
    id: 'nearest-distance',
    title: 'Distance to the nearest synthetic text',
    better: 'lower',
    about: 'mean cosine distance of each real text to the nearest text of the column',
  },
  {
    id: 'fid',
    title: 'FID on embeddings',
    better: 'lower',
    about:
      'Fréchet distance of two Gaussians (covariances with ddof 1) of text embeddings; grows as texts get fewer, so compare only equal numbers of texts and one embedder',
  },
  {
    id: 'mauve',
    title: 'MAUVE on our embeddings',
    better: 'higher',
    about:
      'by mauve-text on the embeddings of the run, not on GPT-2 as in its paper: it depends on the number of texts, their lengths and the number of clusters (a tenth of the texts), and is rough below some thousand texts',
  },
  {
    id: 'precision',
    title: 'k-NN precision',
    better: 'higher',
    share: true,
    about: 'share of synthetic texts that lie among the real ones',
  },
  {
    id: 'recall',
    title: 'k-NN recall',
    better: 'higher',
    share: true,
    about: 'share of real texts that lie among the synthetic ones: low where the corpus is narrow',
  },
  {
    id: 'length-distance',
    title: 'Distance of lengths',
    better: 'lower',
    about: 'Wasserstein distance of the numbers of words',
  },
  {
    id: 'vocabulary-divergence',
    title: 'Divergence of vocabularies',
    better: 'lower',
    about: 'Jensen-Shannon divergence of word frequencies, in bits: 0 equal, 1 nothing in common',
  },
  {
    id: 'distinct-1',
    title: 'Distinct-1',
    better: 'higher',
    share: true,
    about: 'different words by all words; falls as texts get more',
  },
  {
    id: 'distinct-2',
    title: 'Distinct-2',
    better: 'higher',
    share: true,
    about: 'different pairs of words by all pairs; falls as texts get more',
  },
  {
    id: 'self-bleu',
    title: 'Self-BLEU',
    better: 'lower',
    about: 'BLEU-4 (sacrebleu) of a text against the others, over at most 200 texts: high where texts repeat',
  },
  {
    id: 'classifier-accuracy',
    title: 'Classifier accuracy',
    better: 'higher',
    share: true,
    about: 'logistic regression on embeddings, trained on the column, tested on the real texts',
  },
  {
    id: 'classifier-f1',
    title: 'Classifier macro-F1',
    better: 'higher',
    share: true,
    about: 'the same, as the mean F1 over the labels',
  },
]
