/** `x.sum()` exists only where something has loaded the `@tensorflow/tfjs` union; `tf.sum(x)` always does. */
export const noChainedTensorMethods = {
  meta: {
    type: 'problem',
    docs: { description: 'call tf.sum(x), not x.sum()' },
    messages: { chained: 'Write tf.{{name}}(...): the method exists only once the @tensorflow/tfjs union is loaded.' },
    schema: [],
  },
  create(context) {
    const { program, esTreeNodeToTSNodeMap } = context.sourceCode.parserServices;
    const checker = program.getTypeChecker();
    return {
      'CallExpression > MemberExpression.callee'(node) {
        if (node.computed) return;
        const symbol = checker.getSymbolAtLocation(esTreeNodeToTSNodeMap.get(node.property));
        const chained = symbol?.declarations?.some((where) => where.getSourceFile().fileName.includes('/chained_ops/'));
        if (chained) context.report({ node: node.property, messageId: 'chained', data: { name: node.property.name } });
      },
    };
  },
};
