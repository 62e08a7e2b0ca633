//! What several want, begun by whoever comes first and finished for all of them.

use std::sync::{Mutex, PoisonError};

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};

/// What came of each key's work. A panic in it reaches everybody who waits for it, and nobody else.
pub struct Once<'a, K, V: Clone>(Mutex<Vec<(K, Wanted<'a, V>)>>);

pub type Wanted<'a, V> = Shared<BoxFuture<'a, V>>;

impl<'a, K: PartialEq, V: Clone> Once<'a, K, V> {
    pub fn new() -> Once<'a, K, V> {
        Once(Mutex::default())
    }

    pub fn of(&self, key: K, begin: impl FnOnce(&K) -> BoxFuture<'a, V>) -> Wanted<'a, V> {
        let mut begun = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // A batch is short.
        if let Some((_, wanted)) = begun.iter().find(|(known, _)| *known == key) {
            return wanted.clone();
        }
        let wanted = begin(&key).shared();
        begun.push((key, wanted.clone()));
        wanted
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::sync::atomic::{AtomicU32, Ordering};

    use aws_lambda_events::event::sqs::{SqsEvent, SqsMessage};
    use futures_util::future::join_all;

    use super::*;

    #[tokio::test]
    async fn whoever_wants_the_same_waits_for_the_one_who_began_it() {
        let (once, begun) = (Once::new(), AtomicU32::new(0));
        let work = |key: &u32| {
            let (key, count) = (*key, begun.fetch_add(1, Ordering::SeqCst));
            async move {
                tokio::task::yield_now().await;
                (key, count)
            }
            .boxed()
        };
        let came = join_all([7, 8, 7, 7].map(|key| once.of(key, work))).await;
        assert_eq!(came, [(7, 0), (8, 1), (7, 0), (7, 0)]);
        assert_eq!(once.of(8, work).await, (8, 1), "what is done stays done");
    }

    fn batch(bodies: &[&str]) -> SqsEvent {
        let record = |(number, body): (usize, &&str)| {
            let mut record = SqsMessage::default();
            record.message_id = Some(number.to_string());
            record.body = Some((*body).to_owned());
            record
        };
        let mut event = SqsEvent::default();
        event.records = bodies.iter().enumerate().map(record).collect();
        event
    }

    #[tokio::test]
    async fn a_panic_fails_everybody_who_waits_for_it_and_nobody_else() {
        let once: Once<String, ()> = Once::new();
        let work = |key: &String| {
            let panics = key == "panics";
            async move {
                tokio::task::yield_now().await;
                assert!(!panics, "late");
            }
            .boxed()
        };
        let handled = edge::batch::each(batch(&["good", "panics", "good", "panics"]), |record| {
            let wanted = once.of(record.body.unwrap_or_default(), work);
            async move {
                wanted.await;
                Ok::<(), Infallible>(())
            }
        })
        .await;
        let failed: Vec<_> =
            handled.batch_item_failures.iter().map(|failure| &*failure.item_identifier).collect();
        assert_eq!(failed, ["1", "3"]);
    }
}
