/** Device benchmarks without peers, so that they run on a host that has only a driver. */
package org.contrastive4j.bench.device;
