package org.contrastive4j.data;

/**
 * One image-text pair.
 *
 * @param id index in the data set, stable from run to run
 * @param image where the picture is, for messages
 * @param caption not empty
 * @param concept samples of one concept show the same thing and are never each other's negatives
 * @param group who made it, empty when not given
 */
public record Sample(int id, String image, String caption, String concept, String group) {}
