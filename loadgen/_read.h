/* A row of a record's table, as `loadgen.arrivals.READ` unpacks it. */

#include <stdint.h>

typedef struct {
    int64_t end, read_at, received;
} Read;
