/** Observers of a simulated launch: each finds one kind of mistake, or counts one kind of cost. */
@NullMarked
package org.contrastive4j.internal.sim.check;

import org.jspecify.annotations.NullMarked;
