// The federated data set: rows of (client, label, text) from the index, split by client into training and held-out clients.
import { fraction, rank, shuffle } from '../rank.mjs'
import {
  isBoilerplate,
  isText,
  label,
  maintainerKey,
  maxSameOpening,
  namesSomebody,
  paragraphs,
  peopleIn,
  stanzas,
  templateKey,
} from './parse.mjs'

const heldOutShare = 0.15

/** Every text with its maintainer's key, de-duplicated over the whole set, in the order of package names. */
export function collect(packagesText, translationText) {
  const descriptions = new Map()
  for (const fields of stanzas(translationText))
    descriptions.set(fields['Description-md5'], fields['Description-en'])
  const packages = [...stanzas(packagesText)].filter((fields) => fields.Maintainer && fields.Package)
  packages.sort((a, b) => (a.Package < b.Package ? -1 : a.Package > b.Package ? 1 : 0))
  const people = packages.flatMap((fields) => [
    ...peopleIn(fields.Maintainer),
    ...peopleIn(fields.Uploaders ?? ''),
  ])
  const names = new Set(people.map((name) => name.toLowerCase().replace(/\s+/g, ' ')))
  const seen = new Set()
  const openings = new Map()
  const rows = []
  for (const fields of packages) {
    const description = descriptions.get(fields['Description-md5']) ?? fields.Description ?? ''
    for (const text of paragraphs(description)) {
      if (!isText(text) || isBoilerplate(text)) continue
      const key = templateKey(text, fields.Package, fields.Source?.split(' ')[0])
      const opening = key.split(' ').slice(0, 8).join(' ')
      const same = openings.get(opening) ?? 0
      if (seen.has(text) || seen.has(key) || same >= maxSameOpening || namesSomebody(text, names)) continue
      seen.add(text).add(key)
      openings.set(opening, same + 1)
      rows.push({
        maintainer: maintainerKey(fields.Maintainer),
        label: label(fields.Section ?? 'misc'),
        text,
      })
    }
  }
  return rows
}

/** Numbers the clients by a seeded shuffle, so that a number says nothing about the name, and splits them. */
export function splitClients(rows, seed) {
  const keys = [...new Set(rows.map((row) => row.maintainer))]
  const width = Math.max(4, String(keys.length).length)
  const names = new Map(
    shuffle(keys, seed, 'number').map((key, index) => [key, `m${String(index + 1).padStart(width, '0')}`]),
  )
  const clients = new Map()
  for (const { maintainer, label, text } of rows) {
    const client = names.get(maintainer)
    const heldOut = fraction(seed, 'split', maintainer) < heldOutShare
    if (!clients.has(client)) clients.set(client, { client, heldOut, rows: [] })
    clients.get(client).rows.push({ client, label, text })
  }
  const all = [...clients.values()].sort((a, b) => (a.client < b.client ? -1 : 1))
  for (const one of all) one.rows = shuffle(one.rows, seed, 'text', (row) => row.text)
  return { training: all.filter((one) => !one.heldOut), heldOut: all.filter((one) => one.heldOut) }
}

/** `count` clients in a seeded choice, at most `maxTexts` texts of each. */
export function extract(clients, seed, count, maxTexts) {
  const chosen = shuffle(clients, seed, 'extract', (one) => one.client).slice(0, count)
  const rows = chosen.flatMap((one) => one.rows.slice(0, maxTexts))
  return rows.sort((a, b) =>
    a.client < b.client
      ? -1
      : a.client > b.client
        ? 1
        : rank(seed, 'text', a.text) < rank(seed, 'text', b.text)
          ? -1
          : 1,
  )
}
