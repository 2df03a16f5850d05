// The look of the report, in one string: system fonts, one accent colour that colour-blind readers can tell from grey
// (blue), amber for warnings together with a word, dark mode by the reader's preference, and print.
export const STYLE = `
:root {
  color-scheme: light dark;
  --paper: #ffffff; --panel: #f5f6f8; --ink: #16191d; --soft: #565d66; --line: #dfe3e8;
  --accent: #1d63b8; --accent-soft: #1d63b826; --back: #b4bbc4; --warn: #8a5200; --warn-paper: #fff4dd; --warn-line: #d99a2b;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #14171b; --panel: #1d2127; --ink: #e9ecef; --soft: #a2abb5; --line: #333a43;
    --accent: #74b0f4; --accent-soft: #74b0f433; --back: #59626d; --warn: #ffc566; --warn-paper: #32270f; --warn-line: #b57e1c;
  }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
main { max-width: 62rem; margin: 0 auto; padding: 2rem 1.25rem 4rem; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0 0 .4rem; overflow-wrap: anywhere; }
h2 { font-size: 1.15rem; margin: 2.6rem 0 .5rem; padding-top: .9rem; border-top: 1px solid var(--line); }
h3 { font-size: .95rem; margin: 1.2rem 0 .3rem; }
p { margin: .4rem 0; max-width: 46rem; overflow-wrap: anywhere; }
.soft, figcaption, .note { color: var(--soft); font-size: .875rem; }
a { color: var(--accent); }
.banner, .warning { border: 1px solid var(--warn-line); border-left-width: 6px; background: var(--warn-paper); padding: .6rem .9rem; margin: 1rem 0; border-radius: 4px; }
.banner strong, .warning strong { color: var(--warn); }
.hero { background: var(--panel); border-radius: 8px; padding: 1.2rem 1.4rem 1.3rem; margin: 1.4rem 0; }
.hero h2 { border: 0; margin: 0; padding: 0; font-size: .95rem; color: var(--soft); font-weight: 600; }
.hero .epsilon { font-size: 2.1rem; line-height: 1.2; font-weight: 650; margin: .1rem 0 .5rem; }
dl { display: grid; grid-template-columns: minmax(9rem, 13rem) 1fr; gap: .45rem 1.2rem; margin: .9rem 0 0; }
dt { color: var(--soft); }
dd { margin: 0; overflow-wrap: anywhere; }
dd .note { display: block; }
.not-covered { margin: 1rem 0 0; }
.not-covered ul { margin: .2rem 0 0; padding-left: 1.2rem; }
.charts { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(17.5rem, 100%), 1fr)); gap: 1rem 1.5rem; margin: .8rem 0; }
.charts.one { grid-template-columns: minmax(0, 23rem); }
figure { margin: 0; min-width: 0; break-inside: avoid; }
figure h3 { margin: 0 0 .1rem; font-weight: 600; }
svg { display: block; width: 100%; height: auto; max-width: 30rem; }
svg text { font: 11px system-ui, sans-serif; fill: var(--ink); }
svg .tick, svg .axis-title { fill: var(--soft); }
svg .value { font-weight: 650; }
svg .halo { paint-order: stroke; stroke: var(--paper); stroke-width: 3px; stroke-linejoin: round; }
svg .grid { stroke: var(--line); stroke-width: 1; }
svg .axis { stroke: var(--back); stroke-width: 1; }
svg .line { fill: none; stroke: var(--accent); stroke-width: 1.75; stroke-linejoin: round; }
svg.wide { max-width: 44rem; }
.wide-charts { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(29rem, 100%), 1fr)); gap: 1rem 1.5rem; margin: .6rem 0 1.4rem; }
svg .dot { fill: var(--accent); }
svg .line.other, svg .whisker.other { stroke: var(--back); }
svg .dot.other { fill: var(--soft); }
svg .interval { fill: var(--accent-soft); }
svg .whisker { stroke: var(--accent); stroke-width: 1.25; }
svg .bar { fill: var(--accent); }
svg .bar-back { fill: var(--back); }
svg .reference { stroke: var(--ink); stroke-width: 1; stroke-dasharray: 4 3; }
svg .noise-band { fill: var(--back); opacity: .28; }
.key { display: inline-block; width: .8em; height: .8em; border-radius: 2px; background: var(--accent); vertical-align: -.05em; }
.key.back { background: var(--back); }
.key.noise { background: var(--back); opacity: .4; }
details { margin: .5rem 0; }
summary { cursor: pointer; color: var(--soft); font-size: .875rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: .875rem; margin: .4rem 0; font-variant-numeric: tabular-nums; }
th, td { text-align: right; padding: .25rem .8rem .25rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
th { color: var(--soft); font-weight: 600; }
th:first-child, td:first-child, .words { text-align: left; }
#measures td:first-child { white-space: nowrap; }
.texts { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(22rem, 100%), 1fr)); gap: .7rem 1rem; margin: .6rem 0; align-items: start; }
.text { background: var(--panel); border-radius: 6px; padding: .6rem .8rem; margin: 0; font-size: .9rem; white-space: pre-wrap; overflow-wrap: anywhere; max-height: 16rem; overflow-y: auto; break-inside: avoid; }
.text .text-label { display: inline-block; color: var(--soft); font-size: .8rem; white-space: normal; }
.sides { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(22rem, 100%), 1fr)); gap: 0 1.5rem; }
.sides .texts { grid-template-columns: 1fr; }
pre { background: var(--panel); border-radius: 6px; padding: .7rem .9rem; overflow-x: auto; font-size: .875rem; }
@media (max-width: 34rem) { dl { grid-template-columns: 1fr; gap: .1rem; } dd { margin-bottom: .5rem; } }
@media print {
  :root { --paper: #ffffff; --panel: #ffffff; --ink: #000000; --soft: #444444; --line: #cccccc; --accent: #1d63b8; --accent-soft: #1d63b826; --back: #b4bbc4; --warn: #8a5200; --warn-paper: #ffffff; --warn-line: #d99a2b; color-scheme: light; }
  body { font-size: 10.5pt; }
  main { padding: 0; max-width: none; }
  .hero, .text, pre { border: 1px solid var(--line); }
  .text { max-height: none; overflow: visible; }
  h2, h3 { break-after: avoid; }
}
`
