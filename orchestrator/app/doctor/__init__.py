"""What on this machine or in the account would keep a batch from running well?"""
