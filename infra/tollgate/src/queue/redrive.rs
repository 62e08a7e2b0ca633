//! Moving dead letters back to where they came from, all at once.

use rusqlite::params;

use super::refusal::{Kind, Refusal};
use super::rows::{Rows, fresh_id};

impl Rows {
    /// Each goes to `destination`, or to the queue it died in, as a new message.
    pub fn move_dead_letters(
        &self,
        queue: &str,
        destination: Option<&str>,
        now: i64,
    ) -> Result<usize, Refusal> {
        self.check_moves(queue, destination)?;
        let sql = "SELECT seq FROM messages WHERE queue = ? AND visible_ms <= ?
                   AND coalesce(?, origin) IS NOT NULL ORDER BY seq";
        let mut statement = self.connection.prepare_cached(sql)?;
        let dead = statement.query_map(params![queue, now, destination], |row| row.get(0))?;
        let dead: Vec<i64> = dead.collect::<Result<_, _>>()?;
        let sql = "UPDATE messages SET queue = coalesce(?, origin), origin = NULL, id = ?, sent_ms = ?,
                       visible_ms = ?, receives = 0, first_received_ms = NULL, receipt = NULL
                   WHERE seq = ?";
        let mut statement = self.connection.prepare_cached(sql)?;
        for seq in &dead {
            statement.execute(params![destination, fresh_id(), now, now, seq])?;
        }
        Ok(dead.len())
    }

    fn check_moves(&self, queue: &str, destination: Option<&str>) -> Result<(), Refusal> {
        let missing = |name: &str| {
            let problem = format!("The resource that you specified doesn't exist: {name}.");
            Err(Refusal::new(Kind::ResourceNotFoundException, problem))
        };
        for name in [Some(queue), destination].into_iter().flatten() {
            if self.find(name)?.is_none() {
                return missing(name);
            }
        }
        for name in self.names("")? {
            if self.settings(&name)?.redrive.is_some_and(|redrive| redrive.dead_letter_queue == queue) {
                return Ok(());
            }
        }
        Err(Refusal::parameter("Source queue must be configured as a Dead Letter Queue."))
    }
}
