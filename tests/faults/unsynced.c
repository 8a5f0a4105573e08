/* Preloaded into a writing process: whenever a file in FLUXMEM_DISK is synced, its content of that moment is copied to FLUXMEM_PLATTER;
   whenever the directory itself is synced, files that were deleted vanish from the platter too.
   What the platter holds when the process dies is what a machine would find after losing power with nothing written but what was synced. */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void forget_deleted(const char *disk, const char *platter) {
    char here[PATH_MAX + 64], there[PATH_MAX + 64];
    DIR *directory = opendir(platter);
    for (struct dirent *entry; directory && (entry = readdir(directory));) {
        if (entry->d_name[0] == '.' || strncmp(entry->d_name, "half-", 5) == 0) continue;
        snprintf(here, sizeof here, "%s/%s", platter, entry->d_name);
        snprintf(there, sizeof there, "%s/%s", disk, entry->d_name);
        if (access(there, F_OK) != 0) unlink(here);
    }
    if (directory) closedir(directory);
}

static void keep(int fd) {
    const char *disk = getenv("FLUXMEM_DISK"), *platter = getenv("FLUXMEM_PLATTER");
    char link[64], path[PATH_MAX], half[PATH_MAX + 64], whole[PATH_MAX + 64];
    static char buffer[1 << 16];
    if (!disk || !platter) return;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length <= 0) return;
    path[length] = 0;
    size_t prefix = strlen(disk);
    if (strncmp(path, disk, prefix) != 0) return;
    if (path[prefix] == 0) {
        forget_deleted(disk, platter);
        return;
    }
    if (path[prefix] != '/') return;
    const char *name = strrchr(path, '/') + 1;
    snprintf(half, sizeof half, "%s/half-%s", platter, name);
    snprintf(whole, sizeof whole, "%s/%s", platter, name);
    int from = open(path, O_RDONLY), to = open(half, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    ssize_t count = -1;
    if (from >= 0 && to >= 0)
        while ((count = read(from, buffer, sizeof buffer)) > 0)
            if (write(to, buffer, (size_t)count) != count) { count = -1; break; }
    if (from >= 0) close(from);
    if (to >= 0) close(to);
    if (count == 0) rename(half, whole);
}

int fsync(int fd) {
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, "fsync");
    int result = real(fd);
    if (result == 0) keep(fd);
    return result;
}

int fdatasync(int fd) {
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
    int result = real(fd);
    if (result == 0) keep(fd);
    return result;
}
