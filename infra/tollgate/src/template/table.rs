//! The table as infra/state.yaml declares it.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::{BuildError, SdkError};
use aws_sdk_dynamodb::operation::create_table::CreateTableError;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType, Projection,
    ProjectionType, ScalarAttributeType, StreamSpecification, StreamViewType,
};
use serde::Deserialize;

/// Keys, indexes and streams of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// Every key attribute with its type, such as `S`.
    pub attributes: Vec<(String, String)>,
    pub key: Key,
    pub indexes: Vec<Index>,
    pub stream_view: Option<String>,
    pub ttl_attribute: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    pub hash: String,
    pub range: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Index {
    pub name: String,
    pub key: Key,
    /// `ALL` or `KEYS_ONLY`.
    pub projection: String,
}

#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    #[error("the table's declaration is not complete: {0}")]
    Incomplete(#[from] BuildError),
    #[error("the table cannot be created: {0}")]
    Failed(#[from] Box<SdkError<CreateTableError>>),
}

impl Table {
    /// Creates it under a name; one that is there already is kept.
    pub async fn create(&self, client: &Client, name: &str) -> Result<(), CreateError> {
        let mut request = client
            .create_table()
            .table_name(name)
            .billing_mode(BillingMode::PayPerRequest)
            .set_key_schema(Some(self.key.schema()?))
            .set_attribute_definitions(Some(self.definitions()?));
        for index in &self.indexes {
            request = request.global_secondary_indexes(index.build()?);
        }
        if let Some(view) = &self.stream_view {
            let view = StreamViewType::from(view.as_str());
            let stream =
                StreamSpecification::builder().stream_enabled(true).stream_view_type(view).build()?;
            request = request.stream_specification(stream);
        }
        match request.send().await {
            Ok(_) => Ok(()),
            Err(error)
                if error.as_service_error().is_some_and(CreateTableError::is_resource_in_use_exception) =>
            {
                Ok(())
            }
            Err(error) => Err(CreateError::Failed(Box::new(error))),
        }
    }

    fn definitions(&self) -> Result<Vec<AttributeDefinition>, BuildError> {
        let definition = |(name, kind): &(String, String)| {
            let kind = ScalarAttributeType::from(kind.as_str());
            AttributeDefinition::builder().attribute_name(name).attribute_type(kind).build()
        };
        self.attributes.iter().map(definition).collect()
    }
}

impl Index {
    fn build(&self) -> Result<GlobalSecondaryIndex, BuildError> {
        let projection = ProjectionType::from(self.projection.as_str());
        let projection = Projection::builder().projection_type(projection).build();
        let index = GlobalSecondaryIndex::builder().index_name(&self.name).projection(projection);
        index.set_key_schema(Some(self.key.schema()?)).build()
    }
}

impl Key {
    fn schema(&self) -> Result<Vec<KeySchemaElement>, BuildError> {
        let element =
            |name: &str, kind| KeySchemaElement::builder().attribute_name(name).key_type(kind).build();
        let range = self.range.as_deref().map(|range| element(range, KeyType::Range));
        std::iter::once(element(&self.hash, KeyType::Hash)).chain(range).collect()
    }
}

/// As CloudFormation writes it.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Properties {
    attribute_definitions: Vec<AttributeProperties>,
    key_schema: Vec<KeyProperties>,
    #[serde(default)]
    global_secondary_indexes: Vec<IndexProperties>,
    stream_specification: Option<StreamProperties>,
    time_to_live_specification: Option<TtlProperties>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct AttributeProperties {
    attribute_name: String,
    attribute_type: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct KeyProperties {
    attribute_name: String,
    key_type: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct IndexProperties {
    index_name: String,
    key_schema: Vec<KeyProperties>,
    projection: ProjectionProperties,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ProjectionProperties {
    projection_type: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct StreamProperties {
    stream_view_type: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct TtlProperties {
    attribute_name: String,
}

impl From<Properties> for Table {
    fn from(properties: Properties) -> Table {
        let attribute = |it: AttributeProperties| (it.attribute_name, it.attribute_type);
        let index = |it: IndexProperties| Index {
            name: it.index_name,
            key: Key::from(it.key_schema),
            projection: it.projection.projection_type,
        };
        Table {
            attributes: properties.attribute_definitions.into_iter().map(attribute).collect(),
            key: Key::from(properties.key_schema),
            indexes: properties.global_secondary_indexes.into_iter().map(index).collect(),
            stream_view: properties.stream_specification.map(|stream| stream.stream_view_type),
            ttl_attribute: properties.time_to_live_specification.map(|ttl| ttl.attribute_name),
        }
    }
}

impl From<Vec<KeyProperties>> for Key {
    fn from(schema: Vec<KeyProperties>) -> Key {
        let of = |kind: &str| {
            let element = schema.iter().find(|element| element.key_type == kind);
            element.map(|element| element.attribute_name.clone())
        };
        Key { hash: of("HASH").unwrap_or_default(), range: of("RANGE") }
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_dynamodb::types::ProjectionType;
    use edge::Env;

    use super::super::Template;

    #[tokio::test]
    async fn the_declared_table_can_be_created_and_stays_when_created_again() {
        let table = Template::embedded().unwrap().table;
        assert_eq!(table.ttl_attribute.as_deref(), Some("ttl"));

        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let database = dynoxide::Database::memory().unwrap();
        tokio::spawn(dynoxide::server::serve_with_shutdown(listener, database, std::future::pending()));
        let setting = |name, value: &str| (name, value.to_owned());
        let env = Env::given([
            setting("AWS_ACCESS_KEY_ID", "local"),
            setting("AWS_SECRET_ACCESS_KEY", "local"),
            setting("AWS_REGION", "us-east-1"),
        ]);
        let config = edge::aws::config(&env).await.unwrap();
        let config = aws_sdk_dynamodb::config::Builder::from(&config).endpoint_url(endpoint).build();
        let client = aws_sdk_dynamodb::Client::from_conf(config);

        table.create(&client, "tollgate").await.unwrap();
        table.create(&client, "tollgate").await.unwrap();
        let described = client.describe_table().table_name("tollgate").send().await.unwrap().table.unwrap();
        let projections = described.global_secondary_indexes().iter().map(|index| {
            (index.index_name().unwrap(), index.projection().unwrap().projection_type().unwrap().clone())
        });
        let mut projections: Vec<_> = projections.collect();
        projections.sort();
        assert_eq!(projections, [("GSI1", ProjectionType::All), ("GSI2", ProjectionType::KeysOnly)]);
        let keys: Vec<_> = described.key_schema().iter().map(|element| element.attribute_name()).collect();
        assert_eq!(keys, ["PK", "SK"]);
    }
}
