//! What template.yaml and infra/state.yaml say: routes, functions, table and queues.
//!
//! The local stack is built from the files that are deployed, so it has no second list that could differ.
//! CloudFormation's tags lose their names in reading: `!GetAtt Queue.Arn` reads as the text `Queue.Arn`.

mod table;

use std::collections::BTreeMap;

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
    pub table: Table,
    /// Dead letter queues come before the queues that name them.
    pub queues: Vec<QueueShape>,
}

/// A Lambda function under its crate's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Function {
    pub name: String,
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
        let functions = template.each("AWS::Serverless::Function", |_, it| function(it, &state))?;
        let mut queues = state.each("AWS::SQS::Queue", queue)?;
        queues.sort_by_key(|queue| queue.settings.redrive.is_some());
        let tables = state.each("AWS::DynamoDB::Table", |_, it: table::Properties| Ok(Table::from(it)))?;
        let [table] =
            <[Table; 1]>::try_from(tables).map_err(|_| state.wrong("Resources", "one table is needed"))?;
        Ok(Template { functions, table, queues })
    }

    pub fn routes(&self) -> impl Iterator<Item = &Route> {
        self.functions.iter().flat_map(|function| &function.routes)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct FunctionProperties {
    code_uri: String,
    #[serde(default)]
    events: BTreeMap<String, Resource>,
    function_url_config: Option<UrlConfig>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct UrlConfig {
    auth_type: String,
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

fn function(properties: FunctionProperties, state: &File) -> Result<Function, String> {
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
    Ok(Function { name, routes, has_url, reads })
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
    resources: BTreeMap<String, Resource>,
    outputs: BTreeMap<String, Output>,
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_template_lists_every_route_once() {
        let template = Template::embedded().unwrap();
        let routes: Vec<_> = template.routes().collect();
        let keys: BTreeSet<_> = routes.iter().map(|route| (&route.method, &route.path)).collect();
        assert_eq!(keys.len(), routes.len());
        let named = |function: &str, key: &str| {
            let (method, path) = key.split_once(' ').unwrap();
            let found = routes.iter().find(|route| route.method == method && route.path == path);
            assert_eq!(found.map(|route| route.function.as_str()), Some(function), "{key}");
        };
        for of_whom in ["me", "users/{user}"] {
            named("checkout", &format!("POST /v1/{of_whom}/checkout"));
            named("checkout", &format!("GET /v1/{of_whom}/checkout/{{id}}"));
            named("wallet", &format!("POST /v1/{of_whom}/consume"));
            named("entitlements", &format!("GET /v1/{of_whom}"));
            named("entitlements", &format!("GET /v1/{of_whom}/wallet"));
            named("entitlements", &format!("GET /v1/{of_whom}/wallet/entries"));
        }
    }

    #[test]
    fn only_the_price_list_is_public() {
        let template = Template::embedded().unwrap();
        let public = template.routes().filter(|route| route.public).map(|route| route.path.as_str());
        assert_eq!(public.collect::<BTreeSet<_>>(), BTreeSet::from(["/v1/packages", "/v1/plans"]));
    }

    #[test]
    fn stripe_reaches_the_webhook_alone_and_the_queue_feeds_credit() {
        let template = Template::embedded().unwrap();
        let with_url = template.functions.iter().filter(|function| function.has_url);
        assert_eq!(with_url.map(|function| function.name.as_str()).collect::<Vec<_>>(), ["webhook"]);
        let fed = template
            .functions
            .iter()
            .filter_map(|function| Some((&function.name[..], function.reads.as_ref()?)));
        let source = Source { queue: "WebhookQueue".to_owned(), batch_size: 10 };
        assert_eq!(fed.collect::<Vec<_>>(), [("credit", &source)]);
    }

    #[test]
    fn poison_goes_to_the_dead_letters_after_ten_receives() {
        let template = Template::embedded().unwrap();
        let [dead, webhook] = &template.queues[..] else { panic!("{:?}", template.queues) };
        assert_eq!((&dead.name[..], &webhook.name[..]), ("WebhookDeadLetters", "WebhookQueue"));
        let redrive = Redrive { dead_letter_queue: "WebhookDeadLetters".to_owned(), max_receive_count: 10 };
        let fourteen_days_s = 14 * 24 * 3600;
        assert_eq!(webhook.settings.redrive, Some(redrive));
        assert_eq!(
            (webhook.settings.visibility_timeout_s, webhook.settings.retention_s),
            (180, fourteen_days_s)
        );
        assert_eq!((dead.settings.retention_s, &dead.settings.redrive), (fourteen_days_s, &None));
    }

    #[test]
    fn a_mistake_is_named_with_its_place() {
        let broken = TEMPLATE.replace("BatchSize: 10", "BatchSize: ten");
        let error = Template::parse(&broken, STATE).unwrap_err().to_string();
        assert!(error.starts_with("template.yaml, Credit: "), "{error}");
    }
}
