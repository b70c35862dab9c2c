/** Observers of a simulated launch: each finds one kind of mistake, or counts one kind of cost. */
package org.contrastive4j.device.sim.check;
