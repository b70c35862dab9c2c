/** Helpers that every device shares: argument packing, occupancy, scratch allocation, assembly reports, vendor GEMM. */
@NullMarked
package org.contrastive4j.internal.device;

import org.jspecify.annotations.NullMarked;
