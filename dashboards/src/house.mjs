// SPDX-License-Identifier: Apache-2.0
// The rules that all Weft dashboards share, in one place: data sources through variables, a description and a unit on
// every panel, what an empty panel is missing, links between dashboards, nothing editable, nothing third-party.
import * as common from '@grafana/grafana-foundation-sdk/common';
import * as dashboard from '@grafana/grafana-foundation-sdk/dashboard';
import * as elasticsearch from '@grafana/grafana-foundation-sdk/elasticsearch';
import * as logpanel from '@grafana/grafana-foundation-sdk/logs';
import * as prometheus from '@grafana/grafana-foundation-sdk/prometheus';
import * as stat from '@grafana/grafana-foundation-sdk/stat';
import * as statetimeline from '@grafana/grafana-foundation-sdk/statetimeline';
import * as timeseries from '@grafana/grafana-foundation-sdk/timeseries';

/** Grafana 12's; 11.6 reads it and 13 migrates it. */
const SCHEMA_VERSION = 41;

export const source = { type: 'prometheus', uid: '${ds_prom}' };
const logSource = { type: 'elasticsearch', uid: '${ds_logs}' };
const colors = { good: 'green', warn: 'orange', bad: 'red', plain: 'blue' };

/** @param {string} uid @param {string} title @param {string} description */
export function board(uid, title, description) {
  return new dashboard.DashboardBuilder(title)
    .uid(uid)
    .description(description)
    .tags(['weft'])
    .readonly()
    .tooltip(dashboard.DashboardCursorSync.Crosshair)
    .refresh('30s')
    .timezone('browser')
    .time({ from: 'now-30m', to: 'now' })
    .link(new dashboard.DashboardLinkBuilder('Weft')
      .type(dashboard.DashboardLinkType.Dashboards).tags(['weft']).asDropdown(true).keepTime(true).includeVars(true)
      .tooltip('Other Weft dashboards, with this time and these variables'))
    .withVariable(new dashboard.DatasourceVariableBuilder('ds_prom').label('Metrics').type('prometheus'));
}

/**
 * A variable that lists a label's values; everything is chosen at first.
 * @param {string} name @param {string} label @param {string} query
 */
export function choice(name, label, query) {
  return new dashboard.QueryVariableBuilder(name)
    .label(label).datasource(source)
    .query({ query, refId: `var_${name}`, qryType: 1 }).definition(query)
    .multi(true).includeAll(true).allValue('.*')
    .current({ selected: true, text: ['All'], value: ['$__all'] })
    .refresh(dashboard.VariableRefresh.OnTimeRangeChanged)
    .sort(dashboard.VariableSort.AlphabeticalAsc);
}

/** For boards that show log lines. */
export function logVariable() {
  return new dashboard.DatasourceVariableBuilder('ds_logs').label('Logs').type('elasticsearch');
}

/** @param {string} title */
export function row(title) {
  return new dashboard.RowBuilder(title);
}

/** @param {string} expr @param {string} legend */
export function query(expr, legend = '') {
  return new prometheus.DataqueryBuilder().datasource(source).expr(expr).legendFormat(legend).range();
}

/** @param {string} expr @param {string} legend */
export function instant(expr, legend = '') {
  return new prometheus.DataqueryBuilder().datasource(source).expr(expr).legendFormat(legend).instant();
}

/**
 * Thresholds: green, then orange from `warn` and red from `bad`. Without numbers one plain colour.
 * @param {number} [warn] @param {number} [bad]
 */
export function limits(warn, bad) {
  const steps = [{ value: null, color: warn === undefined && bad === undefined ? colors.plain : colors.good }];
  if (warn !== undefined) steps.push({ value: /** @type {any} */ (warn), color: colors.warn });
  if (bad !== undefined) steps.push({ value: /** @type {any} */ (bad), color: colors.bad });
  return new dashboard.ThresholdsConfigBuilder().mode(dashboard.ThresholdsMode.Absolute).steps(/** @type {any} */ (steps));
}

/**
 * What every panel must say of itself.
 * @typedef {{ title: string, about: string, unit: string, missing: string, span: number, height?: number,
 *   queries: ReturnType<typeof query>[], min?: number, max?: number, warn?: number, bad?: number, decimals?: number }} Panel
 */

/** @template {stat.PanelBuilder | timeseries.PanelBuilder | statetimeline.PanelBuilder} T @param {T} panel @param {Panel} p @returns {T} */
function common_parts(panel, p) {
  const b = /** @type {timeseries.PanelBuilder} */ (/** @type {unknown} */ (panel));
  b.title(p.title).description(p.about).datasource(source).span(p.span).height(p.height ?? 8)
    .unit(p.unit).noValue(`no ${p.missing}`).thresholds(limits(p.warn, p.bad)).targets(p.queries);
  if (p.min !== undefined) b.min(p.min);
  if (p.max !== undefined) b.max(p.max);
  if (p.decimals !== undefined) b.decimals(p.decimals);
  return panel;
}

/** Log lines, newest first; `lucene` chooses them. @param {{ title: string, about: string, lucene: string }} p */
export function logs(p) {
  return new logpanel.PanelBuilder()
    .title(p.title).description(p.about).datasource(logSource).span(24).height(10)
    .withTarget(new elasticsearch.DataqueryBuilder().datasource(logSource).query(p.lucene).timeField('@timestamp')
      .metrics([/** @type {any} */ ({ build: () => ({ type: 'logs', id: '1', settings: { limit: '500' } }) })]).bucketAggs([]))
    .showTime(true).wrapLogMessage(true).enableLogDetails(true).sortOrder(common.LogsSortOrder.Descending);
}

/** One number, coloured by its limits. @param {Panel} p */
export function number(p) {
  return common_parts(new stat.PanelBuilder(), { height: 4, ...p })
    .graphMode(common.BigValueGraphMode.None)
    .colorMode(common.BigValueColorMode.Value)
    .justifyMode(common.BigValueJustifyMode.Auto)
    .reduceOptions(new common.ReduceDataOptionsBuilder().calcs(['lastNotNull']));
}

/** Lines over time. @param {Panel} p */
export function lines(p) {
  const panel = common_parts(new timeseries.PanelBuilder(), p)
    .lineWidth(1).fillOpacity(8).showPoints(common.VisibilityMode.Never)
    .legend(new common.VizLegendOptionsBuilder().displayMode(common.LegendDisplayMode.Table)
      .placement(common.LegendPlacement.Bottom).showLegend(true).calcs(['lastNotNull', 'max']))
    .tooltip(new common.VizTooltipOptionsBuilder().mode(common.TooltipDisplayMode.Multi).sort(common.SortOrder.Descending));
  if (p.warn !== undefined || p.bad !== undefined)
    panel.thresholdsStyle(new common.GraphThresholdsStyleConfigBuilder().mode(common.GraphThresholdsStyleMode.Line));
  return panel;
}

/** Stacked bars over time, red: for what should not be. @param {Panel} p */
export function bars(p) {
  return lines(p)
    .drawStyle(common.GraphDrawStyle.Bars).fillOpacity(80)
    .stacking(new common.StackingConfigBuilder().mode(common.StackingMode.Normal).group('A'))
    .colorScheme(new dashboard.FieldColorBuilder().mode(dashboard.FieldColorModeId.ContinuousReds));
}

/** States over time, one row a series. @param {Panel} p @param {{ value: number, text: string, color: string }[]} states */
export function states(p, states) {
  /** @type {Record<string, { text: string, color: string, index: number }>} */
  const options = {};
  states.forEach((s, index) => { options[String(s.value)] = { text: s.text, color: s.color, index }; });
  return common_parts(new statetimeline.PanelBuilder(), p)
    .mappings([/** @type {any} */ ({ type: dashboard.MappingType.ValueToText, options })])
    .mergeValues(true).showValue(common.VisibilityMode.Auto).rowHeight(0.8)
    .legend(new common.VizLegendOptionsBuilder().displayMode(common.LegendDisplayMode.List)
      .placement(common.LegendPlacement.Bottom).showLegend(true));
}

/**
 * What the builders leave open: ids of panels and queries in order, and the schema this JSON is written for.
 * @param {ReturnType<typeof board>} builder @returns {any}
 */
export function finish(builder) {
  const built = /** @type {any} */ (builder.build());
  const panels = built.panels.flatMap((/** @type {any} */ panel) => [panel, ...(panel.panels ?? [])]);
  panels.forEach((/** @type {any} */ panel, /** @type {number} */ i) => {
    panel.id = i + 1;
    (panel.targets ?? []).forEach((/** @type {any} */ target, /** @type {number} */ k) => {
      target.refId = String.fromCharCode(65 + k);
    });
  });
  for (const link of built.links) delete link.placement; /* in the bar, where every version has it */
  built.schemaVersion = SCHEMA_VERSION;
  return built;
}
