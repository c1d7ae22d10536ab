//! A service that is killed while the container asks it comes back, and meanwhile no connect is
//! refused: the listener outlives it.

use std::time::{Duration, Instant};

use terok_shared::service::Service;
use terok_tests::eventually::found;

use crate::container::Container;
use crate::mode::{Mode, in_both_modes};
use crate::uses;

/// How long an answer may fail to come after a kill.
const BACK_WITHIN: Duration = Duration::from_secs(2);

in_both_modes! {
    fn a_killed_keeper_costs_no_answer(operator, mode) {
        let container = Container::launch(operator, "no-keeper", mode);
        let answers = answers_while_killing(&container, Service::Keeper, &broker(&container, mode));
        assert_all_connected(&answers);
        assert!(answers.iter().all(|answer| answer.code == "200"), "{answers:?}");
    }

    /// The signer has nothing in hand: each of its answers needs the keeper.
    fn keys_are_listed_as_soon_as_a_killed_keeper_is_back(operator, mode) {
        let container = Container::launch(operator, "no-keys", mode);
        let keys = operator.public_keys();
        uses::ssh_keys(&container, &keys);
        let keeper = found("the keeper runs", || container.tree().child(Service::Keeper));
        keeper.kill().unwrap();
        let began = Instant::now();
        uses::ssh_keys(&container, &keys);
        println!("keys listed {} ms after the keeper's death", began.elapsed().as_millis());
    }

    fn a_killed_broker_answers_again(operator, mode) {
        let container = Container::launch(operator, "no-broker", mode);
        let answers = answers_while_killing(&container, Service::Broker, &broker(&container, mode));
        assert_all_connected(&answers);
        assert_back(&answers, "200");
    }

    fn a_killed_gate_answers_again(operator, mode) {
        let container = Container::launch(operator, "no-gate", mode);
        let via = match mode {
            Mode::Socket => "--unix-socket $TEROK_GATE_SOCKET http://localhost",
            Mode::Tcp => "http://host.containers.internal:$TEROK_GATE_PORT",
        };
        let refs = format!("/{}.git/info/refs?service=git-upload-pack", container.project);
        let question = format!("--user $TEROK_GATE_TOKEN: {via}{refs}");
        let answers = answers_while_killing(&container, Service::Gate, &question);
        assert_all_connected(&answers);
        assert_back(&answers, "200");
        uses::git_push(&container, 3);
    }

    /// The signer does not speak HTTP: a connect that is not refused ends in some other way, and
    /// the stock agent client finds its keys again.
    fn a_killed_signer_answers_again(operator, mode) {
        let container = Container::launch(operator, "no-signer", mode);
        let via = match mode {
            Mode::Socket => "--unix-socket $TEROK_SSH_SIGNER_SOCKET http://localhost/",
            Mode::Tcp => "http://host.containers.internal:$TEROK_SSH_SIGNER_PORT/",
        };
        let answers = answers_while_killing(&container, Service::Signer, via);
        assert_all_connected(&answers);
        uses::ssh_keys(&container, &operator.public_keys());
    }
}

fn broker(container: &Container<'_>, mode: Mode) -> String {
    let via = match mode {
        Mode::Socket => "--unix-socket $TEROK_VAULT_SOCKET http://localhost",
        Mode::Tcp => "http://host.containers.internal:$TEROK_TOKEN_BROKER_PORT",
    };
    format!(
        "-H \"Authorization: Bearer ${}\" {via}/v1/{}",
        container.token_variable,
        container.name()
    )
}

/// One curl of the container's.
#[derive(Debug)]
struct Answer {
    /// Seconds since the machine started, when it was there.
    at: f64,
    exit: i32,
    /// Nobody listened. curl's exit status does not tell: it also means a connection that was
    /// taken and closed at once.
    refused: bool,
    code: String,
    seconds: f64,
}

/// Lets the container ask over and over, kills the service three times, and gives all answers.
#[track_caller]
fn answers_while_killing(
    container: &Container<'_>,
    service: Service,
    question: &str,
) -> Vec<Answer> {
    let asking = container.shell_beside(&format!(
        "rm -f enough; while [ ! -e enough ]; do \
           line=$(curl -sv -m 5 -o /dev/null -w '%{{http_code}} %{{time_total}}' \
             {question} 2>said); \
           exit=$?; refused=$(grep -cE 'refused|No such file' said); read up rest < /proc/uptime; \
           echo \"$up $exit $refused $line\"; \
         done"
    ));
    let tree = container.tree();
    for _ in 0..3 {
        let child = found("the service runs", || tree.child(service));
        std::thread::sleep(Duration::from_millis(200));
        child.kill().unwrap();
        found("another one in its place", || tree.child(service).filter(|new| *new != child));
        std::thread::sleep(Duration::from_millis(600));
    }
    container.shell_ok("touch enough");
    let output = asking.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let answers: Vec<Answer> = text.lines().map(answer).collect();
    assert!(answers.len() > 5, "too few answers: {text}");
    let slowest = answers.iter().map(|answer| answer.seconds).fold(0.0, f64::max);
    let lost = answers.iter().filter(|answer| answer.exit != 0).count();
    println!("{service}: {} answers, {lost} cut off, slowest {slowest:.3} s", answers.len());
    answers
}

fn answer(line: &str) -> Answer {
    let mut words = line.split(' ');
    let mut word = || words.next().unwrap_or_else(|| panic!("not an answer: {line:?}"));
    Answer {
        at: word().parse().unwrap(),
        exit: word().parse().unwrap(),
        refused: word() != "0",
        code: word().to_owned(),
        seconds: word().parse().unwrap(),
    }
}

#[track_caller]
fn assert_all_connected(answers: &[Answer]) {
    let refused = answers.iter().find(|answer| answer.refused);
    assert!(refused.is_none(), "{refused:?}");
}

/// Whatever was cut off, a good answer followed soon.
#[track_caller]
fn assert_back(answers: &[Answer], good: &str) {
    let mut lost_since = None;
    for answer in answers {
        if answer.code == good {
            lost_since = None;
        } else {
            let since = *lost_since.get_or_insert(answer.at);
            assert!(answer.at - since < BACK_WITHIN.as_secs_f64(), "{answers:?}");
        }
    }
    assert!(lost_since.is_none(), "{answers:?}");
}
