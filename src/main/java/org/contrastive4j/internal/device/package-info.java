/** Helpers that every device shares: argument packing, occupancy, scratch allocation, assembly reports, vendor GEMM. */
package org.contrastive4j.internal.device;
