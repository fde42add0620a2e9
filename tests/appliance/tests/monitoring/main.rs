//! What the hub's monitoring hands to Prometheus, Alertmanager and Grafana, judged by promtool, amtool and a real Prometheus over
//! real programs. Grafana's own types judge the dashboards in `tests/browser/grafana.test.mjs`.

mod farm;
mod files;
mod prometheus;
mod recorded;
mod rules;
mod told;
