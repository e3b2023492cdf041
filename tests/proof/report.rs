//! Owns what a campaign has found: figures, faults, and the line that tells of them.

use crate::Order;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

/// How many faults are told in words; all are counted.
const TOLD_FAULTS: usize = 20;

#[derive(Default)]
pub struct Report {
    pub count: u64,
    pub faults: u64,
    told: Vec<String>,
    figures: BTreeMap<String, u64>,
}

impl Report {
    pub fn fault(&mut self, what: impl FnOnce() -> String) {
        self.faults += 1;
        if self.told.len() < TOLD_FAULTS {
            let told = what();
            eprintln!("fault: {told}");
            self.told.push(told);
        }
    }

    /// Adds to a figure.
    pub fn add(&mut self, figure: &str, by: u64) {
        match self.figures.get_mut(figure) {
            Some(value) => *value += by,
            None => drop(self.figures.insert(figure.to_owned(), by)),
        }
    }

    /// Raises a figure, whose name begins with `max_`.
    pub fn raise(&mut self, figure: &str, to: u64) {
        let value = self.figures.entry(figure.to_owned()).or_default();
        *value = to.max(*value);
    }

    pub fn figure(&self, name: &str) -> u64 {
        self.figures.get(name).copied().unwrap_or(0)
    }

    pub fn to_json(&self) -> Value {
        json!({
            "count": self.count, "faults": self.faults, "told": self.told, "figures": self.figures,
        })
    }

    /// Adds a worker's report, as [`to_json`](Self::to_json) wrote it.
    pub fn merge(&mut self, worker: &Value) {
        self.count += worker["count"].as_u64().unwrap_or(0);
        self.faults += worker["faults"].as_u64().unwrap_or(0);
        for told in worker["told"].as_array().into_iter().flatten() {
            self.told.extend(told.as_str().map(str::to_owned));
        }
        for (name, value) in worker["figures"].as_object().into_iter().flatten() {
            let value = value.as_u64().unwrap_or(0);
            if name.starts_with("max_") {
                self.raise(name, value);
            } else {
                self.add(name, value);
            }
        }
    }

    /// Adds a share in ten thousandths for each figure `x` that has an `x_of`.
    pub fn derive(&mut self) {
        let shares: Vec<_> = self
            .figures
            .iter()
            .filter_map(|(name, part)| {
                let whole = *self.figures.get(&format!("{name}_of"))?;
                Some((
                    format!("{name}_per_10000"),
                    (part * 10_000).checked_div(whole)?,
                ))
            })
            .collect();
        self.figures.extend(shares);
    }

    /// Prints the line and returns the exit code.
    pub fn finish(&self, order: &Order, took: Duration) -> i32 {
        let mut line = Map::new();
        let seconds = (took.as_secs_f64() * 10.0).round() / 10.0;
        for (name, value) in [
            ("campaign", json!(order.campaign)),
            ("control", json!(order.control)),
            ("seed", json!(order.seed)),
            ("count", json!(self.count)),
            ("faults", json!(self.faults)),
            ("seconds", json!(seconds)),
            ("figures", json!(self.figures)),
        ] {
            line.insert(name.to_owned(), value);
        }
        if order.control {
            match self.told.first() {
                Some(fault) => eprintln!("control: {fault}"),
                None => eprintln!("control: nothing was noticed, so this campaign proves nothing"),
            }
        }
        println!("{}", Value::Object(line));
        i32::from((self.faults == 0) == order.control)
    }
}
