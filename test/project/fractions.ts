// Finds where a file could make a number that is not an integer: float literals, Math, Number(...), float arrays, division
// and powers of numbers (not of bigints, which stay whole). By TypeScript's own types, so that a / b is told from a / b.
import { join, relative } from 'node:path'
import ts from 'typescript'

export interface Fraction {
  readonly file: string
  /** The function that it is in; '' at the top of the file. */
  readonly within: string
  readonly code: string
}

// Libraries are parsed once.
const parsed = new Map<string, ts.SourceFile>()

/** `planted` replaces the text of files, by name, as a mistake would. */
export function fractionsIn(
  root: string,
  files: readonly string[],
  planted: Readonly<Record<string, string>> = {},
): Fraction[] {
  const options: ts.CompilerOptions = {
    target: ts.ScriptTarget.ES2023,
    module: ts.ModuleKind.NodeNext,
    moduleResolution: ts.ModuleResolutionKind.NodeNext,
    allowImportingTsExtensions: true,
    noEmit: true,
    strict: true,
    noUncheckedIndexedAccess: true,
    types: ['node'],
  }
  const host = ts.createCompilerHost(options)
  const read = host.readFile
  host.readFile = (path) => planted[relative(root, path)] ?? read(path)
  const parse = host.getSourceFile
  host.getSourceFile = (path, ...rest) => {
    if (relative(root, path) in planted) return parse(path, ...rest)
    const known = parsed.get(path) ?? parse(path, ...rest)
    if (known !== undefined) parsed.set(path, known)
    return known
  }
  const program = ts.createProgram(
    files.map((file) => join(root, file)),
    options,
    host,
  )
  const checker = program.getTypeChecker()
  const isBig = (node: ts.Node) =>
    (checker.getTypeAtLocation(node).flags & (ts.TypeFlags.BigIntLike | ts.TypeFlags.BigInt)) !== 0

  const fraction = (node: ts.Node): boolean => {
    if (ts.isNumericLiteral(node)) return !/^(\d[\d_]*|0x[\da-f_]+)$/i.test(node.getText())
    if (ts.isIdentifier(node) && !ts.isPropertyAccessExpression(node.parent)) {
      return /^(Number|parseFloat|Float(16|32|64)Array)$/.test(node.text)
    }
    if (ts.isPropertyAccessExpression(node) && ts.isIdentifier(node.expression)) {
      if (node.expression.text === 'Math') return true
      if (/^Float\d+Array$/.test(node.expression.text)) return true
      return node.expression.text === 'Number' && !/^is/.test(node.name.text)
    }
    if (!ts.isBinaryExpression(node)) return false
    const { SlashToken, SlashEqualsToken, AsteriskAsteriskToken, AsteriskAsteriskEqualsToken } = ts.SyntaxKind
    const kind = node.operatorToken.kind
    if (kind === SlashToken || kind === SlashEqualsToken) return !isBig(node)
    if (kind !== AsteriskAsteriskToken && kind !== AsteriskAsteriskEqualsToken) return false
    // 2 ** 32 is an integer, 2 ** -50 is not.
    return !isBig(node) && !(ts.isNumericLiteral(node.left) && ts.isNumericLiteral(node.right))
  }

  return files.flatMap((file) => {
    const source = program.getSourceFile(join(root, file)) as ts.SourceFile
    const found: Fraction[] = []
    const visit = (node: ts.Node, within: string): void => {
      const name =
        ts.isFunctionDeclaration(node) || ts.isMethodDeclaration(node) ? node.name?.getText() : undefined
      if (fraction(node)) {
        // The statement's own line is enough to know it again.
        const line = source.text.slice(0, node.getStart()).split('\n').length - 1
        found.push({ file, within, code: (source.text.split('\n')[line] ?? '').trim() })
      }
      ts.forEachChild(node, (child) => visit(child, name ?? within))
    }
    visit(source, '')
    return found
  })
}
