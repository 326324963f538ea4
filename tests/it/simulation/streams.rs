//! Readers of the wire view's events, which have no end, among clients whose requests cause them.
//!
//! Some read at once, some a few bytes at a time, some never; some close or reset in the middle; and there are more
//! than may read at once. What each has read must be whole events in their order, up to where it left; and one that
//! reads at once misses none, until the server ends and says so.

use super::*;
use crate::support::answer::read_chunks;

/// How many streams may be open.
const STREAMS_MAX: usize = 20;

/// When the server begins its shutdown: the clients with requests are gone by then.
const FINISH: Duration = Duration::from_secs(60);

/// What a reader has read.
#[derive(Debug, PartialEq, Eq)]
struct Read {
    status: u16,
    /// The numbers of the exchanges.
    exchanges: Vec<u64>,
    /// Whether the server has said that there is no more.
    is_whole: bool,
}

impl Simulation {
    /// Adds a reader that comes at a moment before `before`, and leaves after `stay` if that is given.
    fn add_reader(&mut self, manner: Manner, before: Duration, most: Option<usize>, stay: Option<Duration>) {
        let room = most.unwrap_or(200_000);
        let at = Duration::from_millis(self.random.below(before.as_millis() as u64));
        self.add(Manner::Regular, false, vec![Ask::Events], room);
        let index = self.clients.len() - 1;
        let client = &mut self.clients[index];
        (client.role, client.manner, client.most) = (Role::ClientApp, manner, most);
        // Not at the moment that `add` has drawn.
        self.plan.retain(|Reverse((_, _, client, _))| *client != index);
        self.plan_at(at, index, Action::Connect);
        if let Some(stay) = stay {
            let leave = if self.random.one_in(2) { Action::End } else { Action::Reset };
            self.plan_at(at + stay, index, leave);
        }
    }

    /// Readers of every kind, beside clients with this many requests in all.
    fn add_crowd(&mut self) -> usize {
        let (early, later) = (Duration::from_millis(1), Duration::from_secs(20));
        for _ in 0..5 {
            self.add_reader(Manner::Regular, early, None, None);
        }
        for _ in 0..40 {
            let stay = Duration::from_millis(self.random.below(10_000));
            match self.random.below(4) {
                0 => self.add_reader(Manner::Regular, later, Some(300), None),
                1 => self.add_reader(Manner::Deaf, later, Some(3000), None),
                2 => self.add_reader(Manner::HalfClosing, later, None, None),
                _ => self.add_reader(Manner::Regular, later, None, Some(stay)),
            }
        }
        let requests: Vec<usize> = (0..150).map(|_| 1 + self.random.below(8) as usize).collect();
        for count in &requests {
            self.add(Manner::Regular, false, vec![Ask::Nothing; *count], 200_000);
        }
        self.plan_at(FINISH, 0, Action::Finish);
        requests.iter().sum()
    }

    fn readers(&self) -> Vec<(Option<usize>, Manner, Read)> {
        let readers = self.clients.iter().filter(|client| client.asks == [Ask::Events]);
        readers.map(|client| (client.most, client.manner, read(&client.arrived))).collect()
    }
}

/// Reads the head, the chunks and the events of a stream, as far as they have come.
fn read(bytes: &[u8]) -> Read {
    let text = String::from_utf8(bytes.to_vec()).expect("text");
    let Some((head, chunks)) = text.split_once("\r\n\r\n") else {
        return Read { status: 0, exchanges: Vec::new(), is_whole: false };
    };
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    let (content, is_whole) = if status == 200 { read_chunks(chunks.as_bytes()) } else { Default::default() };
    let content = String::from_utf8(content).expect("text");
    let events = content.split_inclusive("\n\n").filter(|event| event.ends_with("\n\n"));
    let number = |event: &str| {
        let (id, data) = event.strip_prefix("id: ")?.split_once("\ndata: ")?;
        let data: serde_json::Value = serde_json::from_str(data).expect("a whole event");
        let number = id.split_once('-')?.1.parse().ok()?;
        assert_eq!(data["id"], number);
        Some(number)
    };
    Read { status, exchanges: events.filter_map(number).collect(), is_whole }
}

fn simulate_streams(seed: u64) -> (usize, Simulation) {
    let mut config = Config::default();
    config.limits.routes.streams_max = STREAMS_MAX;
    let mut simulation = Simulation::with(seed, config, Pace::AtOnce);
    let requests = simulation.add_crowd();
    simulation.run();
    (requests, simulation)
}

#[test]
fn every_reader_of_a_stream_gets_whole_events_in_order() {
    let (mut refused, mut behind) = (0, 0);
    for seed in &SEEDS[..3] {
        let (requests, simulation) = simulate_streams(*seed);
        let all: Vec<u64> = (1..=requests as u64).collect();
        for (index, (most, manner, read)) in simulation.readers().into_iter().enumerate() {
            let at = format!("seed {seed}, reader {index}, {manner:?}, {most:?}");
            let Read { status, exchanges, is_whole } = read;
            if index < 5 {
                assert_eq!((status, is_whole), (200, true), "{at}");
                assert_eq!(exchanges, all, "{at}");
            }
            assert!([0, 200, 503].contains(&status), "{at}: {status}");
            assert!(exchanges.is_sorted_by(|a, b| a < b), "{at}: {exchanges:?}");
            refused += usize::from(status == 503);
            // What leaves the ring before it is read is lost for a slow reader, and for no other.
            let gaps = exchanges.windows(2).filter(|pair| pair[1] != pair[0] + 1).count();
            assert!(gaps == 0 || most.is_some(), "{at}: {exchanges:?}");
            behind +=
                usize::from(most.is_some() && exchanges.last().is_some_and(|last| *last < all.len() as u64));
        }
        let asked: usize = simulation.clients.iter().map(|client| client.asks.len()).sum();
        assert!(simulation.driver.counts().requests >= (asked - 40) as u64, "the others were answered");
    }
    assert!(refused > 0 && behind > 0, "{refused} found no room, {behind} were slow");
}

#[test]
fn places_of_streams_are_free_again_when_their_readers_leave() {
    let mut config = Config::default();
    config.limits.routes.streams_max = 3;
    let mut simulation = Simulation::with(5, config, Pace::AtOnce);
    // Each wave fills all places and leaves before the next one comes; the fourth reader of a wave finds none.
    for wave in 0..20 {
        for number in 0..4 {
            simulation.add(Manner::Regular, false, vec![Ask::Events], 200_000);
            let index = simulation.clients.len() - 1;
            simulation.clients[index].role = Role::ClientApp;
            simulation.plan.retain(|Reverse((_, _, client, _))| *client != index);
            let at = Duration::from_secs(10 * wave + number);
            simulation.plan_at(at, index, Action::Connect);
            let leave = if wave % 2 == 0 { Action::End } else { Action::Reset };
            simulation.plan_at(Duration::from_secs(10 * wave + 7), index, leave);
        }
    }
    simulation.run();
    let statuses: Vec<u16> = simulation.readers().into_iter().map(|(_, _, read)| read.status).collect();
    assert_eq!(statuses, [200, 200, 200, 503].repeat(20));
}

#[test]
fn the_same_seed_gives_every_reader_the_same_events() {
    let run = || {
        let (_, simulation) = simulate_streams(11);
        (simulation.now, simulation.readers())
    };
    assert_eq!(run(), run());
}
