//! What template.yaml and infra/state.yaml say: routes, functions, table and queues.
//!
//! The local stack is built from the files that are deployed, so it has no second list that could differ.
//! CloudFormation's tags lose their names in reading: `!GetAtt Queue.Arn` reads as the text `Queue.Arn`.

mod table;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::queue::{Redrive, Settings};
pub use table::{Index, Key, Table};

const TEMPLATE: &str = include_str!("../../../template.yaml");
const STATE: &str = include_str!("../../state.yaml");

/// The deployed stack, as far as a local one repeats it.
#[derive(Debug, Clone)]
pub struct Template {
    pub functions: Vec<Function>,
    pub cors: Cors,
    pub table: Table,
    /// Dead letter queues come before the queues that name them.
    pub queues: Vec<QueueShape>,
}

/// A Lambda function under its crate's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Function {
    pub name: String,
    pub logical_id: String,
    /// Names of the variables in its environment.
    pub settings: BTreeSet<String>,
    pub routes: Vec<Route>,
    /// Whether it has a public function URL.
    pub has_url: bool,
    pub reads: Option<Source>,
}

/// One route of the HTTP API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// The function's crate.
    pub function: String,
    pub method: String,
    pub path: String,
    /// Whether it is open to callers without a token.
    pub public: bool,
}

/// How pages of other origins may call the HTTP API. Which origins those are is for each stage to say.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Cors {
    pub allow_methods: Vec<String>,
    pub allow_headers: Vec<String>,
    pub expose_headers: Vec<String>,
    pub max_age: u32,
}

/// The queue that a function is fed from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    pub queue: String,
    pub batch_size: i32,
}

/// A queue under its logical name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueShape {
    pub name: String,
    pub settings: Settings,
}

#[derive(Debug, thiserror::Error)]
#[error("{file}, {what}: {problem}")]
pub struct TemplateError {
    file: &'static str,
    what: String,
    problem: String,
}

impl Template {
    /// The files this program was built with.
    pub fn embedded() -> Result<Template, TemplateError> {
        Template::parse(TEMPLATE, STATE)
    }

    fn parse(template: &str, state: &str) -> Result<Template, TemplateError> {
        let template = File::parse("template.yaml", template)?;
        let state = File::parse("state.yaml", state)?;
        let shared = template.settings_of_all();
        let functions =
            template.each("AWS::Serverless::Function", |id, it| function(id, it, &shared, &state))?;
        let cors =
            template.each("AWS::Serverless::HttpApi", |_, it: ApiProperties| Ok(it.cors_configuration.1))?;
        let cors = template.only(cors, "one HTTP API is needed")?;
        let mut queues = state.each("AWS::SQS::Queue", queue)?;
        queues.sort_by_key(|queue| queue.settings.redrive.is_some());
        let tables = state.each("AWS::DynamoDB::Table", |_, it: table::Properties| Ok(Table::from(it)))?;
        let table = state.only(tables, "one table is needed")?;
        Ok(Template { functions, cors, table, queues })
    }

    pub fn routes(&self) -> impl Iterator<Item = &Route> {
        self.functions.iter().flat_map(|function| &function.routes)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct FunctionProperties {
    code_uri: String,
    environment: Option<Environment>,
    #[serde(default)]
    events: BTreeMap<String, Resource>,
    function_url_config: Option<UrlConfig>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Environment {
    variables: BTreeMap<String, Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct UrlConfig {
    auth_type: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ApiProperties {
    /// `!If`: a condition, what holds with it, and what holds without.
    cors_configuration: (String, Cors, Value),
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct HttpEvent {
    method: String,
    path: String,
    auth: Option<RouteAuth>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RouteAuth {
    authorizer: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct QueueEvent {
    queue: String,
    batch_size: i32,
}

fn function(
    logical_id: &str,
    properties: FunctionProperties,
    shared: &BTreeSet<String>,
    state: &File,
) -> Result<Function, String> {
    let name = properties.code_uri.rsplit('/').next().unwrap_or_default().to_owned();
    let (mut routes, mut reads) = (Vec::new(), None);
    for event in properties.events.into_values() {
        match event.kind.as_str() {
            "HttpApi" => routes.push(route(&name, read(event.properties)?)),
            "SQS" => {
                let event: QueueEvent = read(event.properties)?;
                reads = Some(Source { queue: state.output(&event.queue)?, batch_size: event.batch_size });
            }
            other => return Err(format!("the local stack has no events of type {other}")),
        }
    }
    let has_url = properties.function_url_config.is_some_and(|config| config.auth_type == "NONE");
    let own = properties.environment.into_iter().flat_map(|environment| environment.variables.into_keys());
    let settings = own.chain(shared.iter().cloned()).collect();
    Ok(Function { name, logical_id: logical_id.to_owned(), settings, routes, has_url, reads })
}

fn route(function: &str, event: HttpEvent) -> Route {
    let public = event.auth.is_some_and(|auth| auth.authorizer == "NONE");
    Route { function: function.to_owned(), method: event.method.to_uppercase(), path: event.path, public }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct QueueProperties {
    visibility_timeout: Option<i64>,
    message_retention_period: Option<i64>,
    maximum_message_size: Option<i64>,
    redrive_policy: Option<RedrivePolicy>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RedrivePolicy {
    dead_letter_target_arn: String,
    max_receive_count: i64,
}

fn queue(name: &str, properties: QueueProperties) -> Result<QueueShape, String> {
    let usual = Settings::default();
    let redrive = properties.redrive_policy.map(|policy| Redrive {
        dead_letter_queue: policy.dead_letter_target_arn.trim_end_matches(".Arn").to_owned(),
        max_receive_count: policy.max_receive_count,
    });
    let settings = Settings {
        visibility_timeout_s: properties.visibility_timeout.unwrap_or(usual.visibility_timeout_s),
        retention_s: properties.message_retention_period.unwrap_or(usual.retention_s),
        maximum_message_bytes: properties.maximum_message_size.unwrap_or(usual.maximum_message_bytes),
        redrive,
        ..usual
    };
    Ok(QueueShape { name: name.to_owned(), settings })
}

/// A CloudFormation template.
struct File {
    name: &'static str,
    content: Content,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Content {
    globals: Option<Globals>,
    resources: BTreeMap<String, Resource>,
    outputs: BTreeMap<String, Output>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Globals {
    function: GlobalFunction,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct GlobalFunction {
    environment: Environment,
}

/// A resource, or a function's event: both have a type and properties.
#[derive(Deserialize)]
struct Resource {
    #[serde(rename = "Type")]
    kind: String,
    #[serde(rename = "Properties", default)]
    properties: Value,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Output {
    value: String,
}

impl File {
    fn parse(name: &'static str, text: &str) -> Result<File, TemplateError> {
        let wrong = |error: serde_saphyr::Error| TemplateError {
            file: name,
            what: "the file".to_owned(),
            problem: error.to_string(),
        };
        Ok(File { name, content: serde_saphyr::from_str(text).map_err(wrong)? })
    }

    /// Reads every resource of a type.
    fn each<P: DeserializeOwned, T>(
        &self,
        kind: &str,
        read_one: impl Fn(&str, P) -> Result<T, String>,
    ) -> Result<Vec<T>, TemplateError> {
        let resources = self.content.resources.iter().filter(|(_, resource)| resource.kind == kind);
        let read_each = |(name, resource): (&String, &Resource)| {
            let one = read(resource.properties.clone()).and_then(|properties| read_one(name, properties));
            one.map_err(|problem| self.wrong(name, problem))
        };
        resources.map(read_each).collect()
    }

    fn only<T>(&self, all: Vec<T>, problem: &str) -> Result<T, TemplateError> {
        <[T; 1]>::try_from(all).map(|[one]| one).map_err(|_| self.wrong("Resources", problem))
    }

    /// Names of the variables that every function gets.
    fn settings_of_all(&self) -> BTreeSet<String> {
        let globals = self.content.globals.iter();
        globals.flat_map(|globals| globals.function.environment.variables.keys().cloned()).collect()
    }

    /// The resource behind an output that another template reads as `State.Outputs.<name>`.
    fn output(&self, reference: &str) -> Result<String, String> {
        let name = reference.rsplit('.').next().unwrap_or_default();
        let output = self.content.outputs.get(name);
        let output = output.ok_or_else(|| format!("{} has no output {name}", self.name))?;
        Ok(output.value.split('.').next().unwrap_or_default().to_owned())
    }

    fn wrong(&self, what: &str, problem: impl Into<String>) -> TemplateError {
        TemplateError { file: self.name, what: what.to_owned(), problem: problem.into() }
    }
}

fn read<T: DeserializeOwned>(properties: Value) -> Result<T, String> {
    serde_json::from_value(properties).map_err(|error| error.to_string())
}
