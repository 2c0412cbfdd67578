/* resolve-LIBRARY NAME: what this C library's resolver makes of a name, asked for addresses of both families.
 *
 * Prints an address a line, in the library's order. Ends with 0, or with what is wrong in a word and 1: "unknown"
 * (EAI_NONAME: no such name, or no such address), "again" (EAI_AGAIN: nobody answered well), else the library's words.
 */
#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>
#include <sys/socket.h>

int main(int count, char **words)
{
    if (count != 2) {
        fprintf(stderr, "usage: %s NAME\n", words[0]);
        return 2;
    }
    struct addrinfo *found, wanted = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM };
    int error = getaddrinfo(words[1], NULL, &wanted, &found);
    if (error) {
        puts(error == EAI_NONAME || error == -5 ? "unknown" : error == EAI_AGAIN ? "again" : gai_strerror(error));
        return 1;
    }
    for (struct addrinfo *one = found; one; one = one->ai_next) {
        char text[INET6_ADDRSTRLEN];
        const void *address = one->ai_family == AF_INET
            ? (const void *)&((struct sockaddr_in *)one->ai_addr)->sin_addr
            : (const void *)&((struct sockaddr_in6 *)one->ai_addr)->sin6_addr;
        puts(inet_ntop(one->ai_family, address, text, sizeof text));
    }
    freeaddrinfo(found);
    return 0;
}
