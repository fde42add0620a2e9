//! What is special about SQS.
