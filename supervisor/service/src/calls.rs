//! System calls that no service has a use for, refused from confinement on (seccomp(2)).
//!
//! For most services this is a list of refusals, not of permissions: what the C library and the
//! runtime call changes with their versions. It closes the ways around the other barriers:
//! sockets, programs, other processes, fresh capabilities. A service that does little names all it
//! calls, and has nothing else left.

use std::collections::BTreeMap;
use std::fmt::Display;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, sock_filter,
};

use crate::confine::{Lane, Sockets};

/// Looking into or taking over other processes, loading code into the kernel, doing input and
/// output behind the filter's back.
const NEVER: &[libc::c_long] = &[
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_pidfd_getfd,
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_keyctl,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_move_mount,
    libc::SYS_open_tree,
    libc::SYS_fsopen,
    libc::SYS_fsmount,
    libc::SYS_mount_setattr,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_setns,
    libc::SYS_unshare,
    libc::SYS_kexec_load,
    libc::SYS_kexec_file_load,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_open_by_handle_at,
];

/// Listening is the parent's; accepting on what it bound stays.
const LISTENING: &[libc::c_long] = &[libc::SYS_bind, libc::SYS_listen];

/// Making sockets and reaching out with them.
const DIALLING: &[libc::c_long] = &[libc::SYS_socket, libc::SYS_connect];

/// The families a dialling service may make sockets of.
const DIALLED: &[libc::c_int] = &[libc::AF_INET, libc::AF_INET6];

const EXECUTING: &[libc::c_long] = &[libc::SYS_execve, libc::SYS_execveat];

type Rules = BTreeMap<libc::c_long, Vec<SeccompRule>>;

/// Refuses for good, in this thread and all it starts; the error is a sentence's end.
pub(crate) fn refuse(lane: &Lane) -> Result<(), String> {
    let rules = refused(lane).map_err(text)?;
    // The C library falls back to clone(2), whose flags a filter can see, only on ENOSYS.
    let unseen = Rules::from([(libc::SYS_clone3, vec![])]);
    install(&program(unseen, libc::ENOSYS)?)?;
    let mut program = program(rules, libc::EPERM)?;
    if cfg!(target_arch = "x86_64") {
        program.splice(0..0, no_x32());
    }
    install(&program)?;
    // Last: after it no filter can be installed any more.
    match lane.calls {
        Some(calls) => install(&only(calls)?),
        None => Ok(()),
    }
}

/// Lets these calls through. Any other is answered as one that the kernel does not have, which is
/// the answer that the C library knows a way around. Memory with code in it is not made any more.
fn only(calls: &[libc::c_long]) -> Result<BpfProgram, String> {
    let mut rules: Rules = calls.iter().map(|call| (*call, vec![])).collect();
    for call in [libc::SYS_mmap, libc::SYS_mprotect] {
        // The third argument of both (mmap(2), mprotect(2)).
        let code = argument(2, SeccompCmpOp::MaskedEq(EXECUTABLE), 0).map_err(text)?;
        let rule = SeccompRule::new(vec![code]).map_err(text)?;
        rules.entry(call).and_modify(|existing| existing.push(rule));
    }
    let architecture = std::env::consts::ARCH.try_into().map_err(text)?;
    let missing = SeccompAction::Errno(libc::ENOSYS as u32);
    SeccompFilter::new(rules, missing, SeccompAction::Allow, architecture)
        .and_then(BpfProgram::try_from)
        .map_err(text)
}

fn refused(lane: &Lane) -> Result<Rules, seccompiler::BackendError> {
    let mut rules: Rules = NEVER.iter().chain(LISTENING).map(|call| (*call, vec![])).collect();
    // A new user namespace would hand back every capability (user_namespaces(7)).
    let namespace = argument(0, SeccompCmpOp::MaskedEq(USER), USER)?;
    rules.insert(libc::SYS_clone, vec![SeccompRule::new(vec![namespace])?]);
    match lane.sockets {
        Sockets::Inherited => rules.extend(DIALLING.iter().map(|call| (*call, vec![]))),
        Sockets::Dial => {
            let other = DIALLED
                .iter()
                .map(|family| argument(0, SeccompCmpOp::Ne, *family as u64))
                .collect::<Result<_, _>>()?;
            rules.insert(libc::SYS_socket, vec![SeccompRule::new(other)?]);
        }
    }
    if lane.execute.is_empty() {
        rules.extend(EXECUTING.iter().map(|call| (*call, vec![])));
    }
    Ok(rules)
}

const USER: u64 = libc::CLONE_NEWUSER as u64;
const EXECUTABLE: u64 = libc::PROT_EXEC as u64;

fn argument(
    index: u8,
    comparison: SeccompCmpOp,
    value: u64,
) -> Result<SeccompCondition, seccompiler::BackendError> {
    SeccompCondition::new(index, SeccompCmpArgLen::Dword, comparison, value)
}

/// Answers the calls of `rules` with `errno`; another architecture's calls end the process.
fn program(rules: Rules, errno: libc::c_int) -> Result<BpfProgram, String> {
    let architecture = std::env::consts::ARCH.try_into().map_err(text)?;
    SeccompFilter::new(
        rules,
        SeccompAction::Allow,
        SeccompAction::Errno(errno as u32),
        architecture,
    )
    .and_then(BpfProgram::try_from)
    .map_err(text)
}

fn install(program: &BpfProgram) -> Result<(), String> {
    seccompiler::apply_filter(program).map_err(text)
}

/// On x86-64 the x32 interface offers calls once more, some under numbers of their own (execve is
/// 520), with the same architecture in the filter's eyes (seccomp(2), "Caveats"): refused whole.
fn no_x32() -> [sock_filter; 3] {
    const X32_SYSCALL_BIT: u32 = 0x4000_0000;
    let instruction = |code: u32, jf, k| sock_filter { code: code as u16, jt: 0, jf, k };
    [
        // The call's number is the first field of struct seccomp_data.
        instruction(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0),
        instruction(libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K, 1, X32_SYSCALL_BIT),
        instruction(libc::BPF_RET | libc::BPF_K, 0, libc::SECCOMP_RET_ERRNO | libc::EPERM as u32),
    ]
}

fn text(why: impl Display) -> String {
    why.to_string()
}
