// hnswlib-node is optional: where it could not be compiled, its tests are skipped, visibly.
export const hnswInstalled = await import('hnswlib-node').then(
  () => true,
  () => false,
)
if (!hnswInstalled)
  console.warn('SKIPPED: hnswlib-node is not installed, so approximate neighbours are not tested')
