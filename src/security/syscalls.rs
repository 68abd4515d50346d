//! The system calls of ordinary programs, and those that need a capability: the tables behind [`super::seccomp`].
//!
//! A call that stands in neither table does not exist for a container (ENOSYS): obsolete ones, those that only a part of
//! the kernel's own boot needs, io_uring and userfaultfd, and all that a kernel newer than this table brings, so that programs fall back to
//! what they did before.

use nix::libc as c;

use super::capabilities::Capability;

/// Calls that no rule restricts.
#[rustfmt::skip]
pub(super) const FREE: &[c::c_long] = &[
    // Files
    c::SYS_chdir, c::SYS_close, c::SYS_close_range, c::SYS_copy_file_range, c::SYS_dup, c::SYS_dup3, c::SYS_faccessat,
    c::SYS_faccessat2, c::SYS_fadvise64, c::SYS_fallocate, c::SYS_fchdir, c::SYS_fchmod, c::SYS_fchmodat, FCHMODAT2,
    c::SYS_fchown, c::SYS_fchownat, c::SYS_fcntl, c::SYS_fdatasync, c::SYS_fgetxattr, c::SYS_flistxattr, c::SYS_flock,
    c::SYS_fremovexattr, c::SYS_fsetxattr, c::SYS_fstat, c::SYS_fstatfs, c::SYS_fsync, c::SYS_ftruncate, c::SYS_getcwd,
    c::SYS_getdents64, c::SYS_getxattr, c::SYS_inotify_add_watch, c::SYS_inotify_init1, c::SYS_inotify_rm_watch,
    c::SYS_lgetxattr, c::SYS_linkat, c::SYS_listxattr, c::SYS_llistxattr, c::SYS_lremovexattr, c::SYS_lseek,
    c::SYS_lsetxattr, c::SYS_mkdirat, c::SYS_mknodat, c::SYS_name_to_handle_at, c::SYS_newfstatat, c::SYS_openat,
    c::SYS_openat2, c::SYS_pipe2, c::SYS_pread64, c::SYS_preadv, c::SYS_preadv2, c::SYS_pwrite64, c::SYS_pwritev,
    c::SYS_pwritev2, c::SYS_read, c::SYS_readahead, c::SYS_readlinkat, c::SYS_readv, c::SYS_removexattr,
    c::SYS_renameat2, c::SYS_sendfile, c::SYS_setxattr, c::SYS_splice, c::SYS_statfs, c::SYS_statx, c::SYS_symlinkat,
    c::SYS_sync, c::SYS_syncfs, c::SYS_tee, c::SYS_truncate, c::SYS_umask, c::SYS_unlinkat,
    c::SYS_utimensat, c::SYS_vmsplice, c::SYS_write, c::SYS_writev,
    CACHESTAT, SETXATTRAT, GETXATTRAT, LISTXATTRAT, REMOVEXATTRAT, FILE_GETATTR, FILE_SETATTR, STATMOUNT, LISTMOUNT,
    // Asynchronous input and output, polling
    c::SYS_epoll_create1, c::SYS_epoll_ctl, c::SYS_epoll_pwait, c::SYS_epoll_pwait2, c::SYS_eventfd2,
    c::SYS_io_cancel, c::SYS_io_destroy, c::SYS_io_getevents, c::SYS_io_setup, c::SYS_io_submit,
    c::SYS_ppoll, c::SYS_pselect6, c::SYS_signalfd4,
    // Memory
    c::SYS_brk, c::SYS_madvise, c::SYS_membarrier, c::SYS_memfd_create, c::SYS_memfd_secret, c::SYS_mincore,
    c::SYS_mlock, c::SYS_mlock2, c::SYS_mlockall, c::SYS_mmap, c::SYS_mprotect, c::SYS_mremap, c::SYS_mseal,
    c::SYS_msync, c::SYS_munlock, c::SYS_munlockall, c::SYS_munmap, c::SYS_pkey_alloc, c::SYS_pkey_free,
    c::SYS_pkey_mprotect, c::SYS_process_madvise, c::SYS_process_mrelease, c::SYS_remap_file_pages, MAP_SHADOW_STACK,
    // Processes and threads
    c::SYS_capget, c::SYS_capset, c::SYS_execve, c::SYS_execveat, c::SYS_exit, c::SYS_exit_group, c::SYS_futex,
    FUTEX_WAITV, FUTEX_WAKE, FUTEX_WAIT, FUTEX_REQUEUE, c::SYS_get_robust_list, c::SYS_getcpu, c::SYS_getpgid,
    c::SYS_getpid, c::SYS_getppid, c::SYS_getpriority, c::SYS_getrandom, c::SYS_getrusage,
    c::SYS_getsid, c::SYS_gettid, c::SYS_ioprio_get, c::SYS_ioprio_set, c::SYS_kcmp, c::SYS_kill, c::SYS_pidfd_getfd,
    c::SYS_pidfd_open, c::SYS_pidfd_send_signal, c::SYS_prctl, c::SYS_prlimit64, c::SYS_process_vm_readv,
    c::SYS_process_vm_writev, c::SYS_ptrace, c::SYS_restart_syscall, c::SYS_rseq, c::SYS_rt_sigaction,
    c::SYS_rt_sigpending, c::SYS_rt_sigprocmask, c::SYS_rt_sigqueueinfo, c::SYS_rt_sigreturn, c::SYS_rt_sigsuspend,
    c::SYS_rt_sigtimedwait, c::SYS_rt_tgsigqueueinfo, c::SYS_sched_get_priority_max, c::SYS_sched_get_priority_min,
    c::SYS_sched_getaffinity, c::SYS_sched_getattr, c::SYS_sched_getparam, c::SYS_sched_getscheduler,
    c::SYS_sched_rr_get_interval, c::SYS_sched_setaffinity, c::SYS_sched_setattr, c::SYS_sched_setparam,
    c::SYS_sched_setscheduler, c::SYS_sched_yield, c::SYS_set_robust_list, c::SYS_set_tid_address, c::SYS_setpgid,
    c::SYS_setpriority, c::SYS_setsid, c::SYS_sigaltstack, c::SYS_sysinfo, c::SYS_tgkill,
    c::SYS_times, c::SYS_tkill, c::SYS_uname, c::SYS_wait4, c::SYS_waitid,
    // Who one is
    c::SYS_getegid, c::SYS_geteuid, c::SYS_getgid, c::SYS_getgroups, c::SYS_getresgid, c::SYS_getresuid, c::SYS_getuid,
    c::SYS_setfsgid, c::SYS_setfsuid, c::SYS_setgid, c::SYS_setgroups, c::SYS_setregid, c::SYS_setresgid,
    c::SYS_setresuid, c::SYS_setreuid, c::SYS_setuid,
    // Restricting oneself further
    c::SYS_landlock_add_rule, c::SYS_landlock_create_ruleset, c::SYS_landlock_restrict_self, c::SYS_seccomp,
    LSM_GET_SELF_ATTR, LSM_SET_SELF_ATTR, LSM_LIST_MODULES,
    // Time; the kernel itself asks for a capability where one of these would set the clock
    c::SYS_adjtimex, c::SYS_clock_adjtime, c::SYS_clock_getres, c::SYS_clock_gettime, c::SYS_clock_nanosleep,
    c::SYS_getitimer, c::SYS_gettimeofday, c::SYS_nanosleep, c::SYS_setitimer, c::SYS_timer_create,
    c::SYS_timer_delete, c::SYS_timer_getoverrun, c::SYS_timer_gettime, c::SYS_timer_settime, c::SYS_timerfd_create,
    c::SYS_timerfd_gettime, c::SYS_timerfd_settime,
    // Sockets and the older ways of talking to one another
    c::SYS_accept, c::SYS_accept4, c::SYS_bind, c::SYS_connect, c::SYS_getpeername, c::SYS_getsockname,
    c::SYS_getsockopt, c::SYS_listen, c::SYS_recvfrom, c::SYS_recvmmsg, c::SYS_recvmsg, c::SYS_sendmmsg,
    c::SYS_sendmsg, c::SYS_sendto, c::SYS_setsockopt, c::SYS_shutdown, c::SYS_socketpair,
    c::SYS_mq_getsetattr, c::SYS_mq_notify, c::SYS_mq_open, c::SYS_mq_timedreceive, c::SYS_mq_timedsend,
    c::SYS_mq_unlink, c::SYS_msgctl, c::SYS_msgget, c::SYS_msgrcv, c::SYS_msgsnd, c::SYS_semctl, c::SYS_semget,
    c::SYS_semop, c::SYS_semtimedop, c::SYS_shmat, c::SYS_shmctl, c::SYS_shmdt, c::SYS_shmget,
    // Restricted by their arguments, in [`super::seccomp`]
    c::SYS_clone, c::SYS_ioctl, c::SYS_personality, c::SYS_socket,
];

/// Calls that only this architecture has, or that the libc crate names for it alone.
#[cfg(target_arch = "x86_64")]
#[rustfmt::skip]
pub(super) const FREE_HERE: &[c::c_long] = &[
    c::SYS_access, c::SYS_alarm, c::SYS_arch_prctl, c::SYS_chmod, c::SYS_chown, c::SYS_creat, c::SYS_dup2,
    c::SYS_epoll_create, c::SYS_epoll_wait, c::SYS_eventfd, c::SYS_fork, c::SYS_futimesat, c::SYS_getdents,
    c::SYS_getpgrp, c::SYS_inotify_init, c::SYS_lchown, c::SYS_link, c::SYS_lstat, c::SYS_mkdir, c::SYS_mknod,
    c::SYS_open, c::SYS_pause, c::SYS_pipe, c::SYS_poll, c::SYS_readlink, c::SYS_rename, c::SYS_renameat,
    c::SYS_rmdir, c::SYS_select, c::SYS_signalfd, c::SYS_stat, c::SYS_symlink, c::SYS_time, c::SYS_unlink,
    c::SYS_utime, c::SYS_utimes, c::SYS_vfork,
    c::SYS_getrlimit, IO_PGETEVENTS, c::SYS_setrlimit, c::SYS_sync_file_range, URETPROBE,
];

/// Calls that only this architecture has, or that the libc crate does not name for it (asm-generic/unistd.h): renameat,
/// sync_file_range, getrlimit, setrlimit and io_pgetevents.
#[cfg(target_arch = "aarch64")]
pub(super) const FREE_HERE: &[c::c_long] = &[38, 84, 163, 164, 292];

/// Calls that need one of these capabilities, and that are refused (EPERM) without.
#[rustfmt::skip]
pub(super) const PRIVILEGED: &[(&[c::c_long], &[Capability])] = &[
    (&[
        c::SYS_fanotify_init, c::SYS_fanotify_mark, c::SYS_fsconfig, c::SYS_fsmount, c::SYS_fsopen, c::SYS_fspick,
        c::SYS_lookup_dcookie, c::SYS_mount, c::SYS_mount_setattr, c::SYS_move_mount, c::SYS_open_tree, OPEN_TREE_ATTR,
        c::SYS_pivot_root, c::SYS_quotactl, c::SYS_quotactl_fd, c::SYS_setdomainname, c::SYS_sethostname, c::SYS_setns,
        c::SYS_swapoff, c::SYS_swapon, c::SYS_umount2, c::SYS_unshare,
    ], &[Capability::SYS_ADMIN]),
    (&[c::SYS_bpf], &[Capability::BPF, Capability::SYS_ADMIN]),
    (&[c::SYS_perf_event_open], &[Capability::PERFMON, Capability::SYS_ADMIN]),
    (&[c::SYS_syslog], &[Capability::SYSLOG]),
    (&[c::SYS_open_by_handle_at], &[Capability::DAC_READ_SEARCH]),
    (&[c::SYS_chroot], &[Capability::SYS_CHROOT]),
    (&[c::SYS_kexec_file_load, c::SYS_kexec_load, c::SYS_reboot], &[Capability::SYS_BOOT]),
    (&[c::SYS_delete_module, c::SYS_finit_module, c::SYS_init_module], &[Capability::SYS_MODULE]),
    (&[c::SYS_acct], &[Capability::SYS_PACCT]),
    (&[c::SYS_clock_settime, c::SYS_settimeofday], &[Capability::SYS_TIME]),
    (&[
        c::SYS_get_mempolicy, c::SYS_mbind, c::SYS_migrate_pages, c::SYS_move_pages, c::SYS_set_mempolicy,
        SET_MEMPOLICY_HOME_NODE,
    ], &[Capability::SYS_NICE]),
    (&[c::SYS_vhangup], &[Capability::SYS_TTY_CONFIG]),
];

/// Privileged calls that only this architecture has.
#[cfg(target_arch = "x86_64")]
pub(super) const PRIVILEGED_HERE: &[(&[c::c_long], &[Capability])] =
    &[(&[c::SYS_ioperm, c::SYS_iopl], &[Capability::SYS_RAWIO])];

/// Privileged calls that only this architecture has.
#[cfg(target_arch = "aarch64")]
pub(super) const PRIVILEGED_HERE: &[(&[c::c_long], &[Capability])] = &[];

/// Refused (EPERM) whatever the capabilities: keys are not divided by namespaces.
pub(super) const REFUSED: &[c::c_long] = &[c::SYS_add_key, c::SYS_keyctl, c::SYS_request_key];

// Newer than the libc crate knows everywhere. From 424 on all architectures share their numbers
// (scripts/syscall.tbl in the kernel).
const FUTEX_WAITV: c::c_long = 449;
const SET_MEMPOLICY_HOME_NODE: c::c_long = 450;
const CACHESTAT: c::c_long = 451;
const FCHMODAT2: c::c_long = 452;
const MAP_SHADOW_STACK: c::c_long = 453;
const FUTEX_WAKE: c::c_long = 454;
const FUTEX_WAIT: c::c_long = 455;
const FUTEX_REQUEUE: c::c_long = 456;
const STATMOUNT: c::c_long = 457;
const LISTMOUNT: c::c_long = 458;
const LSM_GET_SELF_ATTR: c::c_long = 459;
const LSM_SET_SELF_ATTR: c::c_long = 460;
const LSM_LIST_MODULES: c::c_long = 461;
const SETXATTRAT: c::c_long = 463;
const GETXATTRAT: c::c_long = 464;
const LISTXATTRAT: c::c_long = 465;
const REMOVEXATTRAT: c::c_long = 466;
const OPEN_TREE_ATTR: c::c_long = 467;
const FILE_GETATTR: c::c_long = 468;
const FILE_SETATTR: c::c_long = 469;
/// Linux 4.18; not in the libc crate.
#[cfg(target_arch = "x86_64")]
const IO_PGETEVENTS: c::c_long = 333;
/// The kernel's own trampolines make it, in programs that are being traced (Linux 6.11).
#[cfg(target_arch = "x86_64")]
const URETPROBE: c::c_long = 335;

#[cfg(test)]
mod tests {
    use super::{FREE, FREE_HERE, PRIVILEGED, PRIVILEGED_HERE, REFUSED};
    use std::collections::HashSet;

    #[test]
    fn no_call_stands_in_two_places() {
        let mut seen = HashSet::new();
        let privileged = PRIVILEGED.iter().chain(PRIVILEGED_HERE).flat_map(|(calls, _)| *calls);
        for call in FREE.iter().chain(FREE_HERE).chain(privileged).chain(REFUSED) {
            assert!(seen.insert(*call), "call {call} stands twice");
        }
    }
}
