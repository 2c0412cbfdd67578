/* Loaded before the guest's kernel: hands a process's wide registers over in the size that the machine has.

   The kernel of a guest runs its processes as traced processes of this machine, and keeps their registers in a field of
   fixed size. Linux gives less than the whole state of AVX and later, but takes back the whole alone (EFAULT): on a
   processor with AMX, whose state is four times as large, the guest's first process would die. So what the guest's
   kernel has no room for is left out on the way to it, and is as at a process's start on the way back. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <elf.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/types.h>
#include <sys/uio.h>

#define LARGEST (64 * 1024)
#define FEATURES 512    /* where XSAVE's header says which parts follow: see Intel's manual, 13.4 */
#define WIDE_TILES (3ULL << 17)

typedef long ptrace_function(int, pid_t, void *, void *);

long ptrace(enum __ptrace_request request, ...)
{
	static ptrace_function *next;
	static __thread unsigned char whole[LARGEST] __attribute__((aligned(64)));
	struct iovec all = { whole, sizeof whole }, *asked;
	unsigned long long features;
	va_list arguments;
	pid_t pid;
	void *address, *data;
	size_t kept;
	long done;

	va_start(arguments, request);
	pid = va_arg(arguments, pid_t);
	address = va_arg(arguments, void *);
	data = va_arg(arguments, void *);
	va_end(arguments);
	if (!next)
		next = (ptrace_function *)dlsym(RTLD_NEXT, "ptrace");
	if ((long)address != NT_X86_XSTATE || (request != PTRACE_GETREGSET && request != PTRACE_SETREGSET))
		return next(request, pid, address, data);

	asked = data;
	done = next(PTRACE_GETREGSET, pid, address, &all);
	if (done < 0)
		return done;
	kept = asked->iov_len < all.iov_len ? asked->iov_len : all.iov_len;
	if (request == PTRACE_GETREGSET) {
		memcpy(asked->iov_base, whole, kept);
		asked->iov_len = kept;
		return done;
	}
	memcpy(whole, asked->iov_base, kept);
	memset(whole + kept, 0, all.iov_len - kept);
	memcpy(&features, whole + FEATURES, sizeof features);
	features &= ~WIDE_TILES;
	memcpy(whole + FEATURES, &features, sizeof features);
	return next(PTRACE_SETREGSET, pid, address, &all);
}
