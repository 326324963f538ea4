//! The table of a grant's rules, held to the rules: every event in every phase, and the drawing in the chapter.

use std::collections::BTreeSet;

use oauth_from_scratch::oauth::grant::rules::{GrantEvent, GrantPhase, RULES};

use super::*;

const PHASES: &[GrantPhase] = &[
    GrantPhase::Absent,
    GrantPhase::Granted,
    GrantPhase::Redeemed,
    GrantPhase::RedeemedUndelivered,
    GrantPhase::Rotated,
    GrantPhase::RotatedUndelivered,
    GrantPhase::ClientOnly,
    GrantPhase::Over,
];

/// A grant in some phase, with its credentials. Those that the phase does not have are made up.
struct Scene {
    world: World,
    /// Until when the form may be sent again; `None` for the article's, which has nothing in it.
    kept_until: Option<Timestamp>,
    access: Credential,
    refresh: Credential,
    previous: Credential,
    older: Credential,
    redemption: Transition,
    rotation: Transition,
}

impl Scene {
    fn empty(is_kept: bool) -> Scene {
        let mut world = World::empty();
        let forged = Credential::refresh_token(world.code.grant(), [201; SECRET_BYTES], &Family([202; 16]));
        let access = Credential::of_grant(world.code.grant(), [203; SECRET_BYTES]);
        let (redemption, _) = world.transition_to_redeem(&world.code.clone(), RIGHT);
        let (rotation, _) = world.transition_to_rotate("app", &forged, None);
        let kept_until = is_kept.then(|| world.now.after(FORM_LIFETIME));
        let (refresh, previous, older) = (forged.clone(), forged.clone(), forged);
        Scene { world, kept_until, access, refresh, previous, older, redemption, rotation }
    }

    /// Brings a new grant into `phase`. Each redemption and rotation is `written_by` this server, if there is one.
    fn of(phase: GrantPhase, is_kept: bool, written_by: Option<u64>) -> Scene {
        let mut scene = Scene::empty(is_kept);
        let writer = |serial| written_by.map(|server| Writer { server, serial });
        match phase {
            GrantPhase::Absent => {}
            GrantPhase::Granted => scene.grant(),
            GrantPhase::Redeemed => scene.redeem(writer(1)),
            GrantPhase::RedeemedUndelivered => {
                scene.redeem(writer(1));
                scene.withdraw(&scene.redemption.clone());
            }
            GrantPhase::Rotated => scene.rotate_twice(writer(2)),
            GrantPhase::RotatedUndelivered => {
                scene.rotate_twice(writer(2));
                scene.withdraw(&scene.rotation.clone());
            }
            GrantPhase::ClientOnly => assert_eq!(scene.apply(GrantEvent::Issue), Outcome::Granted),
            GrantPhase::Over => {
                scene.rotate_twice(writer(2));
                assert_eq!(scene.apply(GrantEvent::RevokeRefresh), Outcome::Revoked);
            }
        }
        scene
    }

    fn grant(&mut self) {
        assert_eq!(self.apply(GrantEvent::Authorize), Outcome::Granted);
    }

    fn redeem(&mut self, writer: Option<Writer>) {
        self.grant();
        let (mut redemption, tokens) = self.world.transition_to_redeem(&self.world.code.clone(), RIGHT);
        writer.into_iter().for_each(|writer| redemption.set_writer(writer));
        assert!(matches!(self.world.apply(&redemption), Outcome::Redeemed { .. }));
        (self.access, self.refresh, self.redemption) = (tokens.access, tokens.refresh, redemption);
    }

    fn rotate_twice(&mut self, writer: Option<Writer>) {
        self.redeem(writer);
        for _ in 0..2 {
            let (mut rotation, salt) = self.world.transition_to_rotate("app", &self.refresh, None);
            writer.into_iter().for_each(|writer| rotation.set_writer(writer));
            let outcome = self.world.apply(&rotation);
            let next = tokens_of(&self.refresh, salt, outcome).expect("the current refresh token");
            self.older = std::mem::replace(&mut self.previous, self.refresh.clone());
            (self.access, self.refresh, self.rotation) = (next.access, next.refresh, rotation);
        }
    }

    fn withdraw(&mut self, delivered: &Transition) {
        let withdrawal = delivered.withdrawal().expect("a redemption or rotation");
        assert_eq!(self.world.apply(&withdrawal), Outcome::Withdrawn);
    }

    /// The transition of `event`, once its time has come.
    fn transition(&mut self, event: GrantEvent) -> Transition {
        let subject: Arc<str> = "owner".into();
        let code = self.world.code.clone();
        let unproven = Presentation { verifier: Some(OTHER_VERIFIER), ..RIGHT };
        let as_other = Presentation { client: "other", ..RIGHT };
        let wrong = Credential::of_grant(code.grant(), [204; SECRET_BYTES]);
        let forged = Credential::refresh_token(code.grant(), [205; SECRET_BYTES], &Family([206; 16]));
        match event {
            GrantEvent::RedeemLate => self.world.wait(CODE_LIFETIME),
            GrantEvent::RedeemLast => self.world.wait(LIFETIMES.refresh),
            GrantEvent::RotateReused | GrantEvent::RotateLost => self.world.wait(LIFETIMES.refresh_grace),
            GrantEvent::RotateExpired => self.world.wait(LIFETIMES.refresh_idle),
            _ => {}
        }
        if event == GrantEvent::RotateLost {
            self.world.lifetimes.refresh_reuse = RefreshReuse::UntilSuccessorUsed;
        }
        let clients = Arc::clone(&self.world.clients);
        let owner = authenticate(&clients, "app");
        let (world, kept_until) = (&mut self.world, self.kept_until);
        match event {
            GrantEvent::Authorize => {
                Transition::permit(world.authorization(), subject, &code, CODE_LIFETIME, kept_until)
            }
            GrantEvent::Deny => Transition::deny(&world.authorization(), subject, code.grant(), kept_until),
            GrantEvent::Issue => {
                Transition::issue(owner, Scope::default(), &self.access, LIFETIMES.access_token)
            }
            GrantEvent::Redeem | GrantEvent::RedeemLate | GrantEvent::RedeemLast => {
                world.transition_to_redeem(&code, RIGHT).0
            }
            GrantEvent::RedeemUnproven => world.transition_to_redeem(&code, unproven).0,
            GrantEvent::RedeemWrong => world.transition_to_redeem(&wrong, RIGHT).0,
            GrantEvent::RedeemAsOther => world.transition_to_redeem(&code, as_other).0,
            GrantEvent::Rotate | GrantEvent::RotateExpired => {
                world.transition_to_rotate("app", &self.refresh, None).0
            }
            GrantEvent::RotateAgain | GrantEvent::RotateReused | GrantEvent::RotateLost => {
                world.transition_to_rotate("app", &self.previous, None).0
            }
            GrantEvent::RotateOlder => world.transition_to_rotate("app", &self.older, None).0,
            GrantEvent::RotateTooWide => world.transition_to_rotate("app", &self.refresh, Some("a c")).0,
            GrantEvent::RotateForged => world.transition_to_rotate("app", &forged, None).0,
            GrantEvent::RotateAsOther => world.transition_to_rotate("other", &self.refresh, None).0,
            GrantEvent::Check => {
                let resource = ProtectedResource {
                    clients: Arc::clone(&clients),
                    accepts_unaddressed: true,
                    ..ProtectedResource::default()
                };
                Transition::check(&self.access, Arc::new(resource))
            }
            GrantEvent::Inspect => Transition::inspect(owner, &self.access, Arc::clone(&clients)),
            GrantEvent::RevokeAccess => Transition::revoke(owner, &self.access),
            GrantEvent::RevokeRefresh => Transition::revoke(owner, &self.refresh),
            GrantEvent::RevokeAsOther => Transition::revoke(authenticate(&clients, "other"), &self.access),
            GrantEvent::WithdrawRedemption => self.redemption.withdrawal().expect("a redemption"),
            GrantEvent::WithdrawRotation => self.rotation.withdrawal().expect("a rotation"),
        }
    }

    fn apply(&mut self, event: GrantEvent) -> Outcome {
        let transition = self.transition(event);
        self.world.apply(&transition)
    }

    fn phase(&self) -> GrantPhase {
        GrantPhase::of(self.world.record.as_ref())
    }
}

/// An outcome without its data.
fn name_of(outcome: &Outcome) -> String {
    format!("{outcome:?}").chars().take_while(char::is_ascii_alphanumeric).collect()
}

fn events() -> BTreeSet<GrantEvent> {
    RULES.iter().map(|(_, event, ..)| *event).collect()
}

/// The place in the table of the rule for `event` in `phase`.
fn rule_for(phase: GrantPhase, event: GrantEvent) -> usize {
    let rule = RULES.iter().position(|(phases, asked, ..)| *asked == event && phases.contains(&phase));
    rule.unwrap_or_else(|| panic!("no rule for {event:?} in {phase:?}"))
}

#[test]
fn every_event_in_every_phase_does_what_the_table_says() {
    let mut used = BTreeSet::new();
    for is_kept in [true, false] {
        for phase in PHASES.iter().filter(|phase| is_kept || **phase != GrantPhase::Over) {
            for event in events() {
                let place = rule_for(*phase, event);
                let (_, _, outcome, next) = RULES[place];
                let next = match next.unwrap_or(*phase) {
                    GrantPhase::Over if !is_kept => GrantPhase::Absent,
                    next => next,
                };
                let mut scene = Scene::of(*phase, is_kept, None);
                assert_eq!(scene.phase(), *phase);
                let found = scene.apply(event);
                let case = format!("{event:?} in {phase:?}, whose form can come back: {is_kept}");
                assert_eq!((name_of(&found).as_str(), scene.phase()), (outcome, next), "{case}");
                used.insert(place);
            }
        }
    }
    assert_eq!(used.len(), RULES.len(), "no rule is superfluous");
}

/// A store with several servers asks the writer of the last response whether it failed. The answer has the effect
/// of a withdrawal.
#[test]
fn a_failure_that_a_writer_reports_is_judged_like_a_withdrawal() {
    for (phase, undelivered) in [
        (GrantPhase::Redeemed, GrantPhase::RedeemedUndelivered),
        (GrantPhase::Rotated, GrantPhase::RotatedUndelivered),
    ] {
        let is_withdrawal =
            |event: &GrantEvent| matches!(event, GrantEvent::WithdrawRedemption | GrantEvent::WithdrawRotation);
        for event in events().into_iter().filter(|event| !is_withdrawal(event)) {
            let mut scene = Scene::of(phase, true, Some(7));
            let transition = scene.transition(event);
            let (_, found) = transition.apply_after_failure(scene.world.record.as_ref(), scene.world.now);
            let (_, _, outcome, _) = RULES[rule_for(undelivered, event)];
            assert_eq!(name_of(&found), outcome, "{event:?} in {undelivered:?}");
        }
    }
}

/// The chapter has a line `From --> To: Event, Event` for each pair of phases that a rule connects.
#[test]
fn the_drawing_in_the_chapter_is_the_table_of_a_grant() {
    let chapter = include_str!("../../../docs/11-refresh-and-rotation.md");
    let (_, drawing) = chapter.split_once("```mermaid\nstateDiagram-v2\n").expect("a drawing");
    let (drawing, _) = drawing.split_once("```").expect("its end");
    let mut drawn = BTreeSet::new();
    for line in drawing.lines() {
        let (arrow, events) = line.trim().split_once(": ").expect("a label");
        for event in events.split(", ") {
            assert!(drawn.insert(format!("{arrow}: {event}")), "{arrow}: {event} is drawn twice");
        }
    }
    let mut arrows = BTreeSet::new();
    for phase in PHASES {
        for event in events() {
            let (_, _, _, next) = RULES[rule_for(*phase, event)];
            let next = next.filter(|next| next != phase);
            arrows.extend(next.map(|next| format!("{phase:?} --> {next:?}: {event:?}")));
        }
    }
    assert_eq!(drawn, arrows);
}
