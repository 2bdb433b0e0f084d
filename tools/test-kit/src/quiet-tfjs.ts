import * as tf from '@tensorflow/tfjs-core';

// tfjs recommends its native package at the first tensor of every process, which hides what tests print.
tf.env().set('PROD', true);
