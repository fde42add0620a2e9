// Grafana's own types over a dashboard: what does not fit, by the TypeScript compiler.

import path from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';

const here = path.dirname(fileURLToPath(import.meta.url));
const raw = '@grafana/schema/dist/esm/raw/composable';

// A JSON file holds an enum's words, not its members.
const HEAD = `
import type { Dashboard, GraphFieldConfig } from '@grafana/schema';
import type { Options as timeseries } from '${raw}/timeseries/panelcfg/x/TimeSeriesPanelCfg_types.gen';
import type { Options as stat } from '${raw}/stat/panelcfg/x/StatPanelCfg_types.gen';
import type { Options as bargauge } from '${raw}/bargauge/panelcfg/x/BarGaugePanelCfg_types.gen';
type Plain<T> = unknown extends T ? T
  : T extends string ? \`\${T}\`
  : T extends number | boolean | null | undefined ? T
  : T extends (infer U)[] ? Plain<U>[]
  : T extends object ? { [K in keyof T]: Plain<T[K]> }
  : T;
type Query = { refId: string; datasource: { type: 'prometheus'; uid: string }; expr: string; legendFormat: string; range: boolean };
type Bar = Pick<Plain<bargauge>, 'displayMode' | 'orientation' | 'showUnfilled' | 'reduceOptions'>;
type Number = Omit<Plain<stat>, 'percentChangeColorMode' | 'showPercentChange' | 'wideLayout'>;
type Options = { timeseries: Plain<timeseries>; stat: Number; bargauge: Bar };
type Custom = { timeseries: Plain<GraphFieldConfig>; stat: {}; bargauge: {} };
`;

/** The dashboard as TypeScript: the whole, and what Grafana leaves open in it, panel by panel. */
function source(dashboard) {
  const annotations = dashboard.annotations.list.map(({ target, ...rest }) => rest);
  const whole = { ...dashboard, annotations: { list: annotations } };
  const marks = dashboard.annotations.list.map(
    ({ target }, at) => `const mark${at}: Query = ${JSON.stringify(target)};`,
  );
  const parts = dashboard.panels.flatMap((panel, at) => [
    `const options${at}: Options[${JSON.stringify(panel.type)}] = ${JSON.stringify(panel.options)};`,
    `const custom${at}: Custom[${JSON.stringify(panel.type)}] = ${JSON.stringify(panel.fieldConfig.defaults.custom)};`,
    ...panel.targets.map((query, i) => `const query${at}_${i}: Query = ${JSON.stringify(query)};`),
  ]);
  return `${HEAD}const dashboard: Plain<Dashboard> = ${JSON.stringify(whole, null, 1)};\n${[...marks, ...parts].join('\n')}\n`;
}

/** What the compiler says against the dashboard. */
export function complaints(dashboard) {
  const name = path.join(here, 'dashboard-in-memory.ts');
  const options = {
    strict: true,
    noEmit: true,
    skipLibCheck: true,
    module: ts.ModuleKind.ESNext,
    moduleResolution: ts.ModuleResolutionKind.Bundler,
    target: ts.ScriptTarget.ES2022,
    types: [],
  };
  const host = ts.createCompilerHost(options);
  const { getSourceFile, fileExists, readFile } = host;
  const text = source(dashboard);
  host.fileExists = (file) => file === name || fileExists(file);
  host.readFile = (file) => (file === name ? text : readFile(file));
  host.getSourceFile = (file, ...more) =>
    file === name ? ts.createSourceFile(file, text, options.target) : getSourceFile(file, ...more);
  const found = ts.getPreEmitDiagnostics(ts.createProgram([name], options, host));
  return found.map((d) => ts.flattenDiagnosticMessageText(d.messageText, '\n'));
}
