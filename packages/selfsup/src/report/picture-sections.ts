import { meanOfHeads } from '../show/attention-maps.js';
import { heatMap, type PatchValues } from '../show/heat-map.js';
import { imageDataUri } from '../show/picture-svg.js';
import { escapeMarkup } from './markup.js';
import type { NamedPicture, RunPictures } from './run-pictures.js';

/** Largest side of a picture in the page, pixels: twice what it is shown at, for dense screens. */
const NEIGHBOUR_SIZE = 152;
const ATTENTION_SIZE = 224;
/** Sides up to which pixels are shown as squares. */
const PIXEL_ART = 64;
/** Heat maps are smoothed when they are made; the browser does the rest. */
const HEAT_SIZE = 56;

const h = escapeMarkup;

async function img({ image, name, label }: NamedPicture, largest: number): Promise<string> {
  const small = image.width <= PIXEL_ART ? ' class="small"' : '';
  const alt = label === undefined ? name : `${label} (${name})`;
  return `<img${small} src="${await imageDataUri(image, largest)}" alt="${h(alt)}" title="${h(alt)}">`;
}

/** Lines below a picture. */
function words(...lines: readonly (string | undefined)[]): string {
  return lines.map((line) => (line === undefined ? '' : `<span>${h(line)}</span>`)).join('');
}

/** Where the pictures come from, in a sentence. */
function sourceLine({ source }: RunPictures): string {
  const { network, step, data, notes } = source;
  return `${notes.map((note) => `${note}. `).join('')}${network === 'file' ? 'Network' : `The ${network}`}${step === undefined ? '' : ` after ${step} steps`}, on pictures of ${data}.`;
}

/** Rows of a picture and those with the most alike features. */
export async function neighbourSection(pictures: RunPictures): Promise<string> {
  const labelled = pictures.neighbours.some(({ query }) => query.label !== undefined);
  const rows = await Promise.all(
    pictures.neighbours.map(async ({ query, nearest }) => {
      const cells = await Promise.all(
        nearest.map(
          async (picture) =>
            `<figure class="pic${picture.same === true ? ' same' : ''}">${await img(picture, NEIGHBOUR_SIZE)}${words(picture.label, picture.similarity.toFixed(2))}</figure>`,
        ),
      );
      return `<div class="row"><figure class="pic first">${await img(query, NEIGHBOUR_SIZE)}${words(query.label ?? 'query')}</figure>${cells.join('')}</div>`;
    }),
  );
  const frame = labelled ? ' A green frame is the same class.' : '';
  return (
    `<h2>Nearest neighbours</h2><p class="muted">${h(sourceLine(pictures))} Left: held-out pictures; right: the nearest of ${pictures.source.bank} others with the cosine of their features.${frame}</p>` +
    `<div class="card rows">${rows.join('')}</div>`
  );
}

async function heat(values: PatchValues, title: string): Promise<string> {
  const uri = await imageDataUri(heatMap(values, HEAT_SIZE, HEAT_SIZE));
  return `<img src="${uri}" alt="${h(title)}" title="${h(title)}">`;
}

/** What the CLS token looks at in the last block, head by head. */
export async function attentionSection(pictures: RunPictures): Promise<string> {
  const rows = await Promise.all(
    pictures.attention.map(async ({ picture, heads }) => {
      const shown = await img(picture, ATTENTION_SIZE);
      const mean = await heat(meanOfHeads(heads), 'mean of heads');
      const each = await Promise.all(
        heads.map(
          async (head, i) =>
            `<figure class="pic">${await heat(head, `head ${i + 1}`)}${words(`head ${i + 1}`)}</figure>`,
        ),
      );
      return (
        `<div class="row"><figure class="pic">${shown}${words(picture.label ?? picture.name)}</figure>` +
        `<figure class="pic first"><div class="over">${shown}${mean}</div>${words('mean of heads')}</figure>${each.join('')}</div>`
      );
    }),
  );
  return (
    `<h2>Attention</h2><p class="muted">How much the CLS token takes from each patch in the last block; bright is much, each map stretched to its own range.</p>` +
    `<div class="card rows big">${rows.join('')}</div>`
  );
}
