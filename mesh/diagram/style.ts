/** How a diagram looks, in light and in dark. Colours say the same as outlines and strokes do; none stands alone. */
export const style = `
svg { --page:#ffffff; --ink:#1f2733; --soft:#5b6676; --line:#c9d0da; --mesh:#f5f8fc; --card:#ffffff; --sync:#2457c5;
  --async:#9a5b00; --topic:#fff4de; --queue:#fdeee6; --gate:#e4f5ec; --gate-line:#22805a; --out:#f6f6f6; --service:#4b78d8;
  font-family: system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', sans-serif; }
@media (prefers-color-scheme: dark) { svg { --page:#12161c; --ink:#e6eaf0; --soft:#a3adbb; --line:#465061; --mesh:#181e27;
  --card:#212936; --sync:#86acff; --async:#f0b453; --topic:#33290f; --queue:#38241a; --gate:#16342a; --gate-line:#5fcf9f;
  --out:#1a1a1c; --service:#5b86e5; } }
.page { fill: var(--page); }
.zone rect { fill: var(--out); stroke: var(--soft); stroke-width: 1.2; stroke-dasharray: 7 5; }
.zone.mesh rect { fill: var(--mesh); stroke: var(--sync); }
.zone-title text { fill: var(--soft); font-size: 13px; font-weight: 600; }
.zone-title rect { fill: var(--out); }
.zone-title.mesh rect { fill: var(--mesh); }
.shape { fill: var(--card); stroke: var(--line); stroke-width: 1.4; }
.service .shape { stroke: var(--service); stroke-width: 1.8; }
.topic .shape { fill: var(--topic); stroke: var(--async); }
.queue .shape { fill: var(--queue); stroke: var(--async); }
.slots { fill: none; stroke: var(--async); stroke-width: 1.4; }
.exposure .shape { fill: var(--gate); stroke: var(--gate-line); }
.title { fill: var(--ink); font-size: 16px; font-weight: 650; }
.line { fill: var(--soft); font-size: 12.5px; }
.store path, .store ellipse { fill: var(--mesh); stroke: var(--soft); stroke-width: 1.2; }
.edge { fill: none; stroke-width: 1.8; }
.edge.sync { stroke: var(--sync); }
.edge.async { stroke: var(--async); stroke-dasharray: 5 4; stroke-width: 1.5; }
.head.sync { fill: var(--sync); }
.head.async { fill: var(--async); }
.label rect { fill: var(--mesh); }
.label text { font-size: 12px; }
.label.sync text { fill: var(--sync); }
.label.async text { fill: var(--async); }
.legend text { fill: var(--soft); font-size: 12px; }
`
