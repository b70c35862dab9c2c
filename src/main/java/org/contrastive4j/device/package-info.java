/**
 * Devices that load PTX and launch kernels: one small interface, behind it a GPU ({@code cuda}) or the simulator
 * ({@code sim}).
 */
@NullMarked
package org.contrastive4j.device;

import org.jspecify.annotations.NullMarked;
