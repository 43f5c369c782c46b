#!/usr/bin/env bash
# Runs inside LocalStack once it is ready: the lab's log groups, subscribed to a stream.
set -euo pipefail

awslocal kinesis create-stream --stream-name lab --shard-count 2
awslocal kinesis wait stream-exists --stream-name lab
stream=$(awslocal kinesis describe-stream-summary --stream-name lab --query StreamDescriptionSummary.StreamARN --output text)

for group in AccessLogGroup SSHLogGroup CloudTrailLogGroup VPCFlowLogGroup; do
  awslocal logs create-log-group --log-group-name "$group"
  # Before the filter: LocalStack 4.14.0 answers 500 when a stream is made in a group that has one.
  awslocal logs create-log-stream --log-group-name "$group" --log-stream-name producer
  awslocal logs put-subscription-filter --log-group-name "$group" --filter-name shipperd --filter-pattern '' \
    --destination-arn "$stream" --role-arn arn:aws:iam::000000000000:role/delivery
done
