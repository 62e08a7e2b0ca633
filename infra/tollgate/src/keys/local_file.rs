//! `.tollgate/local.json`: where each local stack listens, and the keys it keeps from run to run.

use std::collections::BTreeMap;
use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};

use crate::whole_file;

/// The key of every local sandbox. It is no secret: whoever reaches a sandbox may do anything there, and Stripe knows
/// no such key. So `events/env.json` can name it, unlike what signs webhooks and tokens.
const SANDBOX_KEY: &str = "sk_test_sandbox";

/// The file of one folder, with one stack per product.
#[derive(Debug, Clone)]
pub struct LocalFile {
    folder: PathBuf,
}

/// One product's local stack.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LocalStack {
    pub product: String,
    /// Signs tokens: 32 random bytes in Base64.
    pub key: String,
    pub stripe_secret_key: String,
    pub webhook_secret: String,
    /// Hash emails and notes, as the setting of that name has them. A file of an older version has none.
    #[serde(default = "fresh_privacy_keys")]
    pub privacy_keys: String,
    pub api: String,
    pub stripe: String,
    pub dynamodb: String,
    pub sqs: String,
}

#[derive(Debug, thiserror::Error)]
pub enum LocalFileError {
    #[error("{0}: {1}")]
    Io(PathBuf, io::Error),
    #[error("{0} is not what this program writes ({1}): move it away and start again")]
    Malformed(PathBuf, String),
    #[error("there is no local stack in {0}: start one with `tollgate local`")]
    NoStack(PathBuf),
    #[error("there is no local stack of `{0}` here: there are {1}")]
    NoSuchProduct(String, String),
    #[error("there are several local stacks here, {0}: name one with --product")]
    Ambiguous(String),
}

#[derive(Default, Serialize, Deserialize)]
struct Content {
    stacks: BTreeMap<String, LocalStack>,
}

impl LocalFile {
    /// The file below a folder, usually the current one.
    pub fn below(folder: &Path) -> LocalFile {
        LocalFile { folder: folder.join(".tollgate") }
    }

    /// The stack of a product, or the only one.
    pub fn find(&self, product: Option<&str>) -> Result<LocalStack, LocalFileError> {
        let mut stacks = self.read()?.stacks;
        let names = stacks.keys().cloned().collect::<Vec<_>>().join(", ");
        match product {
            _ if stacks.is_empty() => Err(LocalFileError::NoStack(self.folder.clone())),
            Some(product) => {
                let missing = || LocalFileError::NoSuchProduct(product.to_owned(), names);
                stacks.remove(product).ok_or_else(missing)
            }
            None if stacks.len() > 1 => Err(LocalFileError::Ambiguous(names)),
            None => stacks.pop_first().map(|(_, stack)| stack).ok_or(LocalFileError::Ambiguous(names)),
        }
    }

    /// A product's stack with the keys of its last run, or with fresh ones. Makes the folder for what follows.
    pub fn last_or_fresh(&self, product: &str) -> Result<LocalStack, LocalFileError> {
        self.make_folder().map_err(|error| LocalFileError::Io(self.folder.clone(), error))?;
        let last = self.read()?.stacks.remove(product);
        Ok(last.unwrap_or_else(|| LocalStack::fresh(product)))
    }

    /// Writes a stack beside the others.
    pub fn record(&self, stack: &LocalStack) -> Result<(), LocalFileError> {
        let failed = |error| LocalFileError::Io(self.path(), error);
        self.make_folder().map_err(failed)?;
        // Two stacks may start at once; each must keep what the other wrote.
        let lock = File::create(self.folder.join("local.lock")).map_err(failed)?;
        lock.lock().map_err(failed)?;
        let mut content = self.read()?;
        content.stacks.insert(stack.product.clone(), stack.clone());
        let mut text = serde_json::to_string_pretty(&content).expect("texts can always be written as JSON");
        text.push('\n');
        whole_file::write(&self.path(), text.as_bytes()).map_err(failed)
    }

    /// Where a product's table, queue and clock are kept.
    pub fn state_folder(&self, product: &str) -> PathBuf {
        self.folder.join(product)
    }

    fn path(&self) -> PathBuf {
        self.folder.join("local.json")
    }

    fn read(&self) -> Result<Content, LocalFileError> {
        match std::fs::read(self.path()) {
            Ok(text) => serde_json::from_slice(&text)
                .map_err(|error| LocalFileError::Malformed(self.path(), error.to_string())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Content::default()),
            Err(error) => Err(LocalFileError::Io(self.path(), error)),
        }
    }

    fn make_folder(&self) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(&self.folder)?;
        let ignore = self.folder.join(".gitignore");
        match ignore.exists() {
            true => Ok(()),
            // Keys belong in no repository.
            false => whole_file::write(&ignore, b"*\n"),
        }
    }
}

impl LocalStack {
    pub fn fresh(product: &str) -> LocalStack {
        LocalStack {
            product: product.to_owned(),
            key: STANDARD.encode(random()),
            stripe_secret_key: SANDBOX_KEY.to_owned(),
            privacy_keys: fresh_privacy_keys(),
            webhook_secret: format!("whsec_{}", STANDARD.encode(random())),
            api: String::new(),
            stripe: String::new(),
            dynamodb: String::new(),
            sqs: String::new(),
        }
    }

    pub fn tokens(&self) -> super::Tokens {
        super::Tokens::new(self.key.as_bytes())
    }
}

/// Holds secrets, so only the addresses are ever printed.
impl std::fmt::Debug for LocalStack {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let LocalStack { product, api, stripe, dynamodb, sqs, .. } = self;
        write!(f, "LocalStack {{ {product}: api {api}, stripe {stripe}, dynamodb {dynamodb}, sqs {sqs} }}")
    }
}

fn fresh_privacy_keys() -> String {
    format!("1:{}", URL_SAFE_NO_PAD.encode(random()))
}

fn random() -> [u8; 32] {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).expect("the system has randomness");
    bytes
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn keys_stay_the_same_from_run_to_run() {
        let folder = tempfile::tempdir().unwrap();
        let file = LocalFile::below(folder.path());
        let mut first = file.last_or_fresh("companion").unwrap();
        first.api = "http://127.0.0.1:9000".to_owned();
        file.record(&first).unwrap();
        assert_eq!(file.last_or_fresh("companion").unwrap(), first);
        assert_eq!(file.find(None).unwrap(), first);
        assert_ne!(LocalStack::fresh("companion").key, first.key);
    }

    #[test]
    fn only_the_owner_can_read_the_keys() {
        let folder = tempfile::tempdir().unwrap();
        let file = LocalFile::below(folder.path());
        let stack = file.last_or_fresh("companion").unwrap();
        std::fs::create_dir_all(file.state_folder("companion")).unwrap();
        file.record(&stack).unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&file.folder), mode(&file.path())), (0o700, 0o600));
    }

    #[test]
    fn a_product_must_be_named_only_where_there_are_several() {
        let folder = tempfile::tempdir().unwrap();
        let file = LocalFile::below(folder.path());
        assert!(matches!(file.find(None), Err(LocalFileError::NoStack(_))));
        file.record(&LocalStack::fresh("companion")).unwrap();
        file.record(&LocalStack::fresh("game")).unwrap();
        assert!(matches!(file.find(None), Err(LocalFileError::Ambiguous(_))));
        assert_eq!(file.find(Some("game")).unwrap().product, "game");
        let error = file.find(Some("lingua")).unwrap_err().to_string();
        assert!(error.contains("companion, game"), "{error}");
    }

    #[test]
    fn stacks_that_start_at_once_keep_each_others_keys() {
        let folder = tempfile::tempdir().unwrap();
        let products: Vec<_> = (0..8).map(|number| format!("product-{number}")).collect();
        std::thread::scope(|scope| {
            for product in &products {
                scope.spawn(|| LocalFile::below(folder.path()).record(&LocalStack::fresh(product)).unwrap());
            }
        });
        let file = LocalFile::below(folder.path());
        assert!(products.iter().all(|product| file.find(Some(product)).is_ok()));
    }

    #[test]
    fn printing_a_stack_shows_no_secret() {
        let stack = LocalStack::fresh("companion");
        let printed = format!("{stack:?}");
        for secret in [&stack.key, &stack.webhook_secret, &stack.privacy_keys] {
            assert!(!printed.contains(secret.as_str()));
        }
    }
}
