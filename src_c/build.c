/* SPDX-License-Identifier: BSD-3-Clause */
/* What this build is and can: version, status texts, OpenMP, instruction set. */
#include "internal.h"
#include "kernels/kernels.h"

const char *cbn_strerror(int status) {
    switch (status) {
        case CBN_OK: return "done";
        case CBN_E_NULL: return "a required array is missing";
        case CBN_E_SIZE: return "a size is not positive or too large";
        case CBN_E_RELATION: return "a relation names a missing channel or a parent that does not come before its child in raster order";
        case CBN_E_PARENTS: return "more than 16 parents for one channel";
        case CBN_E_PARAMETER: return "a number is outside its range";
        case CBN_E_COUNTS: return "the counts cannot come from images of this layer";
        case CBN_E_OVERFLOW: return "a sum of counts does not fit 64 bits";
        case CBN_E_WORKSPACE: return "the workspace is too small";
        case CBN_E_SITE: return "a site is not a node of the layer";
        case CBN_E_TRANSITION: return "a transition leaves no position, or has too many, too large or too heavy kernels";
        case CBN_E_TREE: return "a tree's vertices are not in order, or it splits on a node that does not come before its own in raster order";
        case CBN_E_IMPOSSIBLE: return "the known states are impossible: a node is 1 where the lower threshold of its pixel is 0";
        case CBN_E_TAP: return "a tap or a pooling window lies outside its input";
        case CBN_E_COVARIANCE: return "a covariance is not positive definite: give a larger ridge";
        default: return "unknown status code";
    }
}

const char *cbn_version(void) { return CBN_VERSION; }

const char *cbn_instruction_set(void) { return cbn_kernels_select()->name; }

int cbn_has_openmp(void) {
#ifdef _OPENMP
    return 1;
#else
    return 0;
#endif
}

int cbn_max_threads(void) {
#ifdef _OPENMP
    return omp_get_max_threads();
#else
    return 1;
#endif
}
