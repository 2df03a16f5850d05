// What is used of hnswlib-node. The package is optional (it is compiled on installation), so its own types may not be there.
declare module 'hnswlib-node' {
  export class HierarchicalNSW {
    constructor(space: 'l2' | 'ip' | 'cosine', dim: number)
    initIndex(options: {
      maxElements: number
      m?: number
      efConstruction?: number
      randomSeed?: number
      allowReplaceDeleted?: boolean
    }): void
    setEf(width: number): void
    addPoint(point: number[], label: number): void
    searchKnn(query: number[], k: number): { distances: number[]; neighbors: number[] }
  }
  const library: { HierarchicalNSW: typeof HierarchicalNSW }
  export default library
}
