//! Several kinds of record as one, for a store that keeps them all.
//!
//! `kinds!` takes the name, transition and outcome of each kind, and makes three enums with a variant per kind:
//! `Transition`, `Record` and `Outcome`. They implement the contract of [`kind`](super::kind) by calling the kind of
//! the variant. A kind's number is its index in the list. The first must be the grant, whose tables are older than
//! kinds.
//!
//! ```text
//! kinds! { Grant(grant::Transition => grant::Outcome), Session(session::Transition => session::Outcome) }
//!
//!   Transition::Session(t)  ──apply──▶  Change::Put(Record::Session(r)), Outcome::Session(o)
//! ```
//!
//! `From` converts the transition of one kind. `TryFrom` converts the outcome back; it fails only for the outcome of
//! another kind, which no store returns.
//!
//! No record is ever given to a transition of another kind, because the key names the kind. If a store did, the
//! transition would find no record.

/// Composes kinds of record; see the documentation of the [module](crate::oauth::kinds).
#[macro_export]
macro_rules! kinds {
    ($($name:ident($transition:ty => $outcome:ty)),+ $(,)?) => {
        /// A transition of one of the kinds.
        #[derive(Clone, Debug)]
        #[allow(missing_docs, reason = "each is named as its kind")]
        pub enum Transition {
            $($name($transition)),+
        }

        /// A record of one of the kinds.
        #[derive(Clone, Debug)]
        #[allow(missing_docs, reason = "each is named as its kind")]
        pub enum Record {
            $($name(<$transition as $crate::oauth::kind::Transition>::Record)),+
        }

        /// The outcome of a transition of one of the kinds.
        #[derive(Clone, Debug, PartialEq, Eq)]
        #[allow(missing_docs, reason = "each is named as its kind")]
        pub enum Outcome {
            $($name($outcome)),+
        }

        /// The kinds, in the order of their numbers.
        #[derive(Clone, Copy)]
        enum Place {
            $($name),+
        }

        impl Place {
            const fn kind(self) -> $crate::oauth::Kind {
                $crate::oauth::Kind::new(self as usize)
            }
        }

        $(
            impl From<$transition> for Transition {
                fn from(transition: $transition) -> Transition {
                    Transition::$name(transition)
                }
            }

            impl TryFrom<Outcome> for $outcome {
                type Error = Outcome;

                fn try_from(outcome: Outcome) -> Result<Self, Outcome> {
                    match outcome {
                        Outcome::$name(outcome) => Ok(outcome),
                        #[allow(unreachable_patterns, reason = "there may be one kind")]
                        other => Err(other),
                    }
                }
            }
        )+

        impl $crate::oauth::kind::Record for Record {
            fn expires(&self) -> $crate::oauth::Timestamp {
                match self { $(Record::$name(record) => $crate::oauth::kind::Record::expires(record)),+ }
            }

            fn holder(&self) -> $crate::oauth::Holder<'_> {
                match self { $(Record::$name(record) => $crate::oauth::kind::Record::holder(record)),+ }
            }

            fn stage(&self) -> $crate::oauth::Stage {
                match self { $(Record::$name(record) => $crate::oauth::kind::Record::stage(record)),+ }
            }

            fn kept_until(&self) -> $crate::oauth::Timestamp {
                match self { $(Record::$name(record) => $crate::oauth::kind::Record::kept_until(record)),+ }
            }

            fn make_room(&self, now: $crate::oauth::Timestamp) -> $crate::oauth::kind::Change<Record> {
                match self {
                    $(Record::$name(record) => {
                        $crate::oauth::kind::Record::make_room(record, now).map(Record::$name)
                    }),+
                }
            }

            fn mark(&self, kept_until: $crate::oauth::Timestamp) -> Record {
                match self {
                    $(Record::$name(record) => {
                        Record::$name($crate::oauth::kind::Record::mark(record, kept_until))
                    }),+
                }
            }

            fn encode(&self) -> Vec<u8> {
                match self { $(Record::$name(record) => $crate::oauth::kind::Record::encode(record)),+ }
            }

            fn decode(kind: $crate::oauth::Kind, bytes: &[u8]) -> Option<Record> {
                // On its own, each kind has number 0.
                let first = $crate::oauth::Kind::new(0);
                $(if kind == Place::$name.kind() {
                    return $crate::oauth::kind::Record::decode(first, bytes).map(Record::$name);
                })+
                None
            }

            fn reached(&self) -> Option<$crate::oauth::Timestamp> {
                match self { $(Record::$name(record) => $crate::oauth::kind::Record::reached(record)),+ }
            }

            fn ordered_by(&self, now: $crate::oauth::Timestamp) -> $crate::oauth::Timestamp {
                match self { $(Record::$name(record) => $crate::oauth::kind::Record::ordered_by(record, now)),+ }
            }
        }

        impl $crate::oauth::kind::Transition for Transition {
            type Record = Record;
            type Outcome = Outcome;

            const KINDS: &'static [$crate::oauth::kind::KindInfo] =
                &[$($crate::oauth::kind::only(<$transition as $crate::oauth::kind::Transition>::KINDS)),+];

            fn key(&self) -> $crate::oauth::Key {
                match self {
                    $(Transition::$name(transition) => {
                        let id = $crate::oauth::kind::Transition::key(transition).id;
                        $crate::oauth::Key { kind: Place::$name.kind(), id }
                    }),+
                }
            }

            fn look(&self, record: Option<&Record>, now: $crate::oauth::Timestamp) -> Option<Outcome> {
                match self {
                    $(Transition::$name(transition) => {
                        let record = match record { Some(Record::$name(record)) => Some(record), _ => None };
                        $crate::oauth::kind::Transition::look(transition, record, now).map(Outcome::$name)
                    }),+
                }
            }

            fn apply_believing(
                &self,
                record: Option<&Record>,
                now: $crate::oauth::Timestamp,
                belief: $crate::oauth::kind::Belief,
            ) -> ($crate::oauth::kind::Change<Record>, Outcome) {
                match self {
                    $(Transition::$name(transition) => {
                        let record = match record { Some(Record::$name(record)) => Some(record), _ => None };
                        let (change, outcome) = $crate::oauth::kind::Transition::apply_believing(
                            transition, record, now, belief,
                        );
                        (change.map(Record::$name), Outcome::$name(outcome))
                    }),+
                }
            }

            fn is_read_only(&self) -> bool {
                match self {
                    $(Transition::$name(transition) => {
                        $crate::oauth::kind::Transition::is_read_only(transition)
                    }),+
                }
            }

            fn new_record(&self) -> Option<($crate::oauth::Holder<'_>, $crate::oauth::Stage)> {
                match self {
                    $(Transition::$name(transition) => {
                        $crate::oauth::kind::Transition::new_record(transition)
                    }),+
                }
            }

            fn taken(&self) -> Outcome {
                match self {
                    $(Transition::$name(transition) => {
                        Outcome::$name($crate::oauth::kind::Transition::taken(transition))
                    }),+
                }
            }

            fn restates(&self, outcome: &Outcome) -> bool {
                match (self, outcome) {
                    $((Transition::$name(transition), Outcome::$name(outcome)) => {
                        $crate::oauth::kind::Transition::restates(transition, outcome)
                    })+
                    #[allow(unreachable_patterns, reason = "there may be one kind")]
                    _ => false,
                }
            }

            fn delivers(&self) -> bool {
                match self {
                    $(Transition::$name(transition) => $crate::oauth::kind::Transition::delivers(transition)),+
                }
            }

            fn withdrawal(&self) -> Option<Transition> {
                match self {
                    $(Transition::$name(transition) => {
                        $crate::oauth::kind::Transition::withdrawal(transition).map(Transition::$name)
                    }),+
                }
            }

            fn is_withdrawal(&self) -> bool {
                match self {
                    $(Transition::$name(transition) => {
                        $crate::oauth::kind::Transition::is_withdrawal(transition)
                    }),+
                }
            }

            fn forestalled(&self, record: &Record) -> Option<Record> {
                match (self, record) {
                    $((Transition::$name(transition), Record::$name(record)) => {
                        $crate::oauth::kind::Transition::forestalled(transition, record).map(Record::$name)
                    })+
                    #[allow(unreachable_patterns, reason = "there may be one kind")]
                    _ => None,
                }
            }

            fn set_writer(&mut self, writer: $crate::oauth::kind::Writer) {
                match self {
                    $(Transition::$name(transition) => {
                        $crate::oauth::kind::Transition::set_writer(transition, writer)
                    }),+
                }
            }

            fn doubt(
                &self,
                record: Option<&Record>,
                now: $crate::oauth::Timestamp,
            ) -> Option<$crate::oauth::kind::Writer> {
                match self {
                    $(Transition::$name(transition) => {
                        let record = match record { Some(Record::$name(record)) => Some(record), _ => None };
                        $crate::oauth::kind::Transition::doubt(transition, record, now)
                    }),+
                }
            }
        }
    };
}
