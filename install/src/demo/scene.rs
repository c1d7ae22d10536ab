//! The story itself: what is put into the vault, what the container does, and what each side saw.

use std::fs;
use std::time::{Duration, Instant};

use terok_shared::secret::Secret;

use super::DemoError;
use super::memory;
use super::place::{Place, output};
use super::stage::{NAME, Stage, Started};
use super::upstream::Upstream;

/// What must never be seen inside.
pub(super) struct Prepared {
    credential: Secret<String>,
}

/// Fills the vault and makes the repository.
pub(super) fn prepare(place: &Place, upstream: &Upstream) -> Result<Prepared, DemoError> {
    let credential = random("real-")?;
    let passphrase = random("")?;
    write_private(place, "passphrase", passphrase.expose())?;
    write_private(place, "credential", credential.expose())?;
    let (passphrase, secret) = (text(place, "passphrase"), text(place, "credential"));
    place.terokctl(&["vault", "init", "--passphrase-file", &passphrase, "--no-remember"])?;
    let command = format!("cat {passphrase}");
    let url = upstream.url();
    let with = |words: &[&str]| {
        let mut all = words.to_vec();
        all.extend(["--passphrase-command", &command]);
        place.terokctl(&all)
    };
    with(&["vault", "add", NAME, "--from-file", &secret, "--upstream", &url])?;
    with(&["ssh", "generate", "--scope", NAME, "--comment", "demo key"])?;
    make_mirror(place)?;
    // From here on the credential is in the vault alone.
    fs::remove_file(&secret).map_err(DemoError::io("remove the credential's file"))?;
    Ok(Prepared { credential })
}

fn make_mirror(place: &Place) -> Result<(), DemoError> {
    let mirror = place.path("state/gate").join(format!("{NAME}.git"));
    let mut git = place.command("git");
    git.args(["init", "--quiet", "--bare", "--initial-branch=main"]).arg(&mirror);
    output("git init", &mut git).map(|_| ())
}

/// Lets the container use all three services, and prints what happened.
pub(super) fn play(
    place: &Place,
    stage: &Stage<'_>,
    started: &Started,
    prepared: &Prepared,
    upstream: &Upstream,
) -> Result<(), DemoError> {
    let mut timeline = Timeline::default();
    timeline.add("container started, all listeners bound", started.took);
    println!("\ncurl through the token broker");
    timeline.time("first HTTP answer", || http(stage, prepared, upstream))?;
    println!("\nssh-keygen through the SSH signer");
    timeline.time("signature made and verified", || ssh(place, stage))?;
    println!("\ngit through the git gate");
    timeline.time("clone, push of 3 MB, force push", || git(place, stage))?;
    println!("\nWhat the container could see");
    timeline.time("search for the credential", || search(stage, prepared))?;
    println!("\nTimeline");
    timeline.print();
    let memory = memory::of(started.supervisor, stage.podman());
    println!(
        "\nMemory of the supervisor and its services: {:.1} MiB {} in {} processes",
        memory.kib as f64 / 1024.0,
        memory.measure,
        memory.processes
    );
    Ok(())
}

fn http(stage: &Stage<'_>, prepared: &Prepared, upstream: &Upstream) -> Result<(), DemoError> {
    let line = "curl -sS --fail -H \"Authorization: Bearer $TEROK_DEMO_TOKEN\" $BROKER/v1/models";
    let answer = stage.run(line)?;
    let presented = stage.run("printf %s \"$TEROK_DEMO_TOKEN\"")?;
    println!("  the container sent      Authorization: Bearer {}", shape(&presented));
    let real = format!("Bearer {}", prepared.credential.expose());
    claim(upstream.seen() == [real], "upstream sees the real credential once")?;
    println!("  upstream received       Authorization: Bearer (the real credential)");
    println!("  and the answer was      {}", answer.trim());
    Ok(())
}

fn ssh(place: &Place, stage: &Stage<'_>) -> Result<(), DemoError> {
    let key = stage.run("ssh-add -L")?;
    stage.give("key.pub", key.trim())?;
    stage.give("letter", "signed without a key")?;
    stage.run("rm -f letter.sig; ssh-keygen -q -Y sign -f key.pub -n demo letter 2>&1")?;
    let signature = stage.run("cat letter.sig")?;
    let letter = stage.run("cat letter")?;
    fs::write(place.path("letter.sig"), signature).map_err(DemoError::io("keep the signature"))?;
    fs::write(place.path("letter"), letter).map_err(DemoError::io("keep the letter"))?;
    fs::write(place.path("signers"), format!("demo {key}"))
        .map_err(DemoError::io("write the list of signers"))?;
    let letter = fs::File::open(place.path("letter")).map_err(DemoError::io("read the letter"))?;
    let mut verify = place.command("ssh-keygen");
    verify.args(["-Y", "verify", "-n", "demo", "-I", "demo", "-f"]).arg(place.path("signers"));
    verify.arg("-s").arg(place.path("letter.sig")).stdin(letter);
    let verdict = output("ssh-keygen -Y verify", &mut verify)?;
    println!("  the agent offers        {}", shape(key.trim()));
    // Without the fingerprint it fits a terminal of 80 columns.
    let verdict = verdict.split(" SHA256:").next().unwrap_or_default();
    println!("  the host's ssh-keygen   {}", verdict.trim());
    Ok(())
}

fn git(place: &Place, stage: &Stage<'_>) -> Result<(), DemoError> {
    stage.run(
        "set -e; rm -rf work; \
         git clone --quiet http://$TEROK_GATE_TOKEN@$GATE/demo.git work 2>&1; cd work; \
         git config user.name agent; git config user.email agent@localhost; \
         git checkout --quiet -B main; \
         head -c 3000000 /dev/urandom > big; git add big; git commit --quiet -m 'three megabytes'; \
         git push --quiet origin main 2>&1; \
         git commit --quiet --amend -m 'history rewritten'; \
         git push --quiet --force origin main 2>&1",
    )?;
    let mirror = place.path("state/gate").join(format!("{NAME}.git"));
    let mut list = place.command("git");
    list.arg("--git-dir").arg(&mirror).args(["for-each-ref", "--format=%(refname)"]);
    let refs = output("git for-each-ref", &mut list)?;
    println!("  pushed                  3 MB with git's default settings");
    claim(refs.contains("refs/terok/backup/main/"), "a force push leaves a backup")?;
    for name in refs.lines() {
        println!("  the mirror has          {name}");
    }
    Ok(())
}

/// Looks for the credential everywhere in the container. The text looked for is not given away:
/// everything readable is brought out and searched here.
fn search(stage: &Stage<'_>, prepared: &Prepared) -> Result<(), DemoError> {
    let everything = stage.run(
        "env; cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline 2>/dev/null; \
         [ -d /run/terok ] && find / -xdev -type f -size -64k -newer /proc/1/exe \
           -exec cat {} + 2>/dev/null; find /run/terok 2>/dev/null; true",
    )?;
    claim(
        !everything.contains(prepared.credential.expose()),
        "the container holds no real credential",
    )?;
    claim(!everything.contains("PRIVATE KEY"), "the container holds no private key")?;
    println!("  environment, processes and files searched: no credential, no private key");
    Ok(())
}

fn claim(true_indeed: bool, claim: &str) -> Result<(), DemoError> {
    if true_indeed { Ok(()) } else { Err(DemoError::Untrue { claim: claim.to_owned() }) }
}

/// The kind of a token or key without its content.
fn shape(text: &str) -> String {
    match text.split_once(' ') {
        Some((kind, _)) => format!("{kind} (public key)"),
        None if text.starts_with("terok-p-") => "terok-p-… (a phantom, worthless)".to_owned(),
        None => "(something else)".to_owned(),
    }
}

fn random(prefix: &str) -> Result<Secret<String>, DemoError> {
    let minted = terok_shared::token::mint_gate()
        .map_err(|why| DemoError::Untrue { claim: why.to_string() })?;
    Ok(Secret::from(format!("{prefix}{}", &minted.expose()[8..])))
}

fn write_private(place: &Place, name: &str, content: &str) -> Result<(), DemoError> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let path = place.path(name);
    fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&path)
        .and_then(|mut file| writeln!(file, "{content}"))
        .map_err(DemoError::io(format!("write {}", path.display())))
}

fn text(place: &Place, name: &str) -> String {
    place.path(name).display().to_string()
}

#[derive(Default)]
struct Timeline(Vec<(&'static str, Duration)>);

impl Timeline {
    fn add(&mut self, what: &'static str, took: Duration) {
        self.0.push((what, took));
    }

    fn time<T>(
        &mut self,
        what: &'static str,
        act: impl FnOnce() -> Result<T, DemoError>,
    ) -> Result<T, DemoError> {
        let began = Instant::now();
        let done = act()?;
        self.add(what, began.elapsed());
        Ok(done)
    }

    fn print(&self) {
        for (what, took) in &self.0 {
            println!("  {:>6} ms  {what}", took.as_millis());
        }
    }
}
