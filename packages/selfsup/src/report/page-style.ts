import { chartPageStyle } from './chart/style.js';

/** Style sheet of a report: one column of cards on a phone, more where there is room, light and dark. */
export function pageStyle(): string {
  return `
:root{color-scheme:light dark;--back:#f6f8fa;--card:#fff;--ink:#1f2328;--muted:#59636e;--line:#d8dee4;--good:#1a7f37;--bad:#b3261e;--warn-back:#fff4d6;--warn-ink:#5c4400;--link:#0b62d6}
@media (prefers-color-scheme:dark){:root{--back:#0d1117;--card:#161b22;--ink:#e6edf3;--muted:#9da7b3;--line:#30363d;--good:#4cc36c;--bad:#ff8a80;--warn-back:#33290b;--warn-ink:#f2d479;--link:#6cb0ff}}
*{box-sizing:border-box}
body{margin:0;background:var(--back);color:var(--ink);font:15px/1.5 system-ui,'Segoe UI',Roboto,'DejaVu Sans',sans-serif}
main{max-width:1220px;margin:0 auto;padding:20px 16px 48px}
h1{font-size:1.6rem;line-height:1.25;margin:0;overflow-wrap:anywhere}
h2{font-size:1.15rem;margin:36px 0 12px}
h3{font-size:.95rem;margin:0 0 2px}
p{margin:.3em 0}h2+p{margin:-6px 0 10px}
.muted,figcaption,.sub{color:var(--muted);font-size:.86rem}
.state{display:inline-block;border-radius:999px;padding:1px 10px;font-size:.82rem;border:1px solid currentColor;vertical-align:.2em}
.state.finished{color:var(--good)}.state.running{color:var(--link)}.state.stopped{color:var(--bad)}
.tiles{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,148px),1fr));gap:10px;margin:18px 0 0}
.tile,.card{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:12px 14px;min-width:0}
.tile b{display:block;font-size:1.25rem;font-weight:600;line-height:1.3;font-variant-numeric:tabular-nums;overflow-wrap:anywhere}
.tile span{color:var(--muted);font-size:.8rem}
.note{background:var(--warn-back);color:var(--warn-ink);border-radius:8px;padding:8px 12px;margin:10px 0 0;overflow-wrap:anywhere}
.charts{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,340px),1fr));gap:14px}
figure{margin:0}
figure svg{display:block;width:100%;height:auto;margin:6px 0}
.rows{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,520px),1fr));gap:6px 28px}
.row{display:flex;gap:8px;align-items:flex-start;padding:6px 0}
.pic{flex:0 0 auto;width:var(--side);margin:0;font-size:.72rem;line-height:1.3;color:var(--muted)}
.pic span{display:block;overflow:hidden;text-overflow:ellipsis;white-space:nowrap}
.pic img{display:block;width:var(--side);height:var(--side);border-radius:5px;object-fit:cover;margin-bottom:4px}
.pic img.small{image-rendering:pixelated}
.rows{--side:clamp(44px,11.5vw,76px)}
.rows.big{--side:clamp(84px,22vw,112px)}
.pic.first{margin-right:10px}
.pic.same img{outline:3px solid var(--good);outline-offset:-1px}
.over{position:relative}.over img+img{position:absolute;inset:0;opacity:.6}
.rows.big{grid-template-columns:1fr}.big .row{flex-wrap:wrap}
table{border-collapse:collapse;width:100%;font-size:.86rem}
td,th{padding:3px 10px 3px 0;text-align:left;vertical-align:top;overflow-wrap:anywhere;border-bottom:1px solid var(--line)}
tr:last-child td,tr:last-child th{border-bottom:0}
th{color:var(--muted);font-weight:500;width:48%}
td{font-family:ui-monospace,'SF Mono',Menlo,'DejaVu Sans Mono',monospace;font-size:.8rem}
.groups{columns:340px 3;column-gap:14px}
.groups .card{break-inside:avoid;margin:0 0 14px}
details summary{cursor:pointer;color:var(--link)}
pre{overflow-x:auto;font-size:.78rem;margin:8px 0 0}
footer{margin-top:40px;color:var(--muted);font-size:.8rem}
@media print{.card,.tile{break-inside:avoid}}
${chartPageStyle()}`.trim();
}
