package org.contrastive4j.ops;

/**
 * Names one stream of random numbers: the same key, sample and element give the same number on every backend, whatever
 * the chunk a sample is encoded in.
 *
 * @param seed of the run
 * @param step of the optimiser
 * @param layer a number of its own for each random layer of a model
 */
public record RandomKey(long seed, int step, int layer) {}
