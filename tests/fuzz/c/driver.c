/* driver.c - feeds a fuzz target where the compiler has no libFuzzer: inputs from a seed, mutated from each other.
 *
 *   fuzz SECONDS SEED     go on for so long; the last line says how many inputs that were
 *   fuzz FILE             one input again
 *
 * Without coverage to be led by: half of the inputs are made anew, half are an earlier one with a few bytes
 * changed.  An input that the target does not end with is written to a file, named in the report.
 */
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
/* Asked by the sanitizers: an abort is what the input is kept at. */
const char *__asan_default_options(void);
const char *__ubsan_default_options(void);
const char *__asan_default_options(void) { return "abort_on_error=1"; }
const char *__ubsan_default_options(void) { return "abort_on_error=1:print_stacktrace=1"; }

enum { MOST = 400, POOL = 64, STUCK_S = 5 };

static uint8_t input[MOST];
static size_t input_nbytes;
static uint64_t inputs;
static char finding[64];

static void keep_input(void) {
    FILE *file = fopen(finding, "wb");
    if (file == NULL) return;
    fwrite(input, 1, input_nbytes, file);
    fclose(file);
    fprintf(stderr, "the input is in %s\n", finding);
}

static void stuck(int number) {
    (void)number;
    fprintf(stderr, "an input does not end\n");
    abort();
}

static void aborted(int number) {
    keep_input();
    signal(number, SIG_DFL);
    raise(number);
}

static uint64_t state;

static uint64_t random_word(void) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state * 0x2545f4914f6cdd1du >> 16;
}

static void next_input(void) {
    static struct {
        uint8_t bytes[MOST];
        size_t nbytes;
    } pool[POOL];
    size_t which = random_word() % POOL;
    if (random_word() & 1 || pool[which].nbytes == 0) {
        input_nbytes = random_word() % (MOST / 4) * 4;
        for (size_t i = 0; i < input_nbytes; i++) input[i] = (uint8_t)random_word();
    } else {
        input_nbytes = pool[which].nbytes;
        memcpy(input, pool[which].bytes, input_nbytes);
        for (uint64_t changes = random_word() % 8; changes > 0; changes--)
            input[random_word() % input_nbytes] = (uint8_t)random_word();
    }
    which = random_word() % POOL;
    memcpy(pool[which].bytes, input, input_nbytes);
    pool[which].nbytes = input_nbytes;
}

int main(int argc, char **argv) {
    if (argc == 2) {
        FILE *file = fopen(argv[1], "rb");
        if (file == NULL) return 2;
        input_nbytes = fread(input, 1, sizeof input, file);
        fclose(file);
        LLVMFuzzerTestOneInput(input, input_nbytes);
        return 0;
    }
    if (argc != 3) return 2;
    double seconds = atof(argv[1]);
    state = strtoull(argv[2], NULL, 10) * 2 + 1;
    snprintf(finding, sizeof finding, "finding-%s", argv[2]);
    signal(SIGALRM, stuck);
    signal(SIGABRT, aborted);
    time_t over_at = time(NULL) + (time_t)seconds;
    while (time(NULL) < over_at) {
        alarm(STUCK_S);
        for (int i = 0; i < 100; i++, inputs++) {
            next_input();
            LLVMFuzzerTestOneInput(input, input_nbytes);
        }
    }
    printf("%llu inputs\n", (unsigned long long)inputs);
    return 0;
}
